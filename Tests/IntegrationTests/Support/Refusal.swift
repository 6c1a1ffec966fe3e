// A call that must fail: with the right code and words, and without a trace.

import TestSupport
import Testing

/// What an error must say.
struct Refusal: Sendable {
  var code: Int
  /// The whole message, if it is known.
  var message: String?
  /// Words that the message or the details must have.
  var words: [String] = []

  init(_ code: Int, _ message: String? = nil, words: [String] = []) {
    (self.code, self.message, self.words) = (code, message, words)
  }

  /// Compares an answer.
  func expect(_ answer: Answer, _ location: SourceLocation = #_sourceLocation) {
    #expect(answer.isError, "\(answer)", sourceLocation: location)
    #expect(answer.code == code, "\(answer)", sourceLocation: location)
    if let message { #expect(answer.message == message, sourceLocation: location) }
    let text = (answer.message ?? "") + " " + (answer.details ?? "")
    for word in words {
      #expect(text.contains(word), "no \"\(word)\" in: \(answer)", sourceLocation: location)
    }
    #expect(answer.ended.errorOutput.isEmpty, "\(answer)", sourceLocation: location)
  }
}

extension TestNetwork {
  /// Runs a call that must fail on a network that nobody has used, and again when the attachment c1
  /// is there already: each time the store is afterwards as it was before. `good` is a configuration
  /// with which c1 can be added.
  func refuses(
    _ call: Call, _ refusal: Refusal, good: JSON? = nil,
    _ location: SourceLocation = #_sourceLocation
  ) async throws {
    if good == nil {
      let before = try everything()
      refusal.expect(try await call.run(), location)
      #expect(try everything() == before, "left behind", sourceLocation: location)
    }
    let first = good ?? configuration(["subnet": "10.7.0.0/29"])
    try await Call("ADD", first, container: "first").succeeds()
    let before = try contents()
    refusal.expect(try await call.run(), location)
    #expect(try contents() == before, "left behind", sourceLocation: location)
    #expect(try audit().problems.isEmpty, sourceLocation: location)
    try await Call("DEL", first, container: "first").succeeds()
  }
}
