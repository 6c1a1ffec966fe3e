import IPAM
import JSON
import TestSupport
import Testing

@testable import ConsulBackend

/// The reader without a tree says what the one with a tree says, or nothing.
@Suite struct PlainLeaseTests {
  private static let record =
    #"{"attachment":{"node":"w-1","container":"c\u00e9\n","interface":"eth0"},"#
    + #""node":{"name":"w-1","instance":"0123456789abcdef","bootID":"b"},"#
    + #""mac":"02:00:00:00:00:01","workload":{"K8S_POD_NAME":"web","X":""},"#
    + #""nonce":"00000000deadbeef","createdAt":1700000000}"#

  private func byTree(_ bytes: [UInt8]) -> Lease? {
    (try? JSONValue(parsing: bytes)).flatMap { try? Lease(record: $0) }
  }

  @Test func aWholeRecord() throws {
    let bytes = Array(Self.record.utf8)
    let lease = try #require(Lease(plain: bytes))
    #expect(lease == byTree(bytes))
    #expect(lease.workload.labels == ["K8S_POD_NAME": "web", "X": ""])
    #expect(lease.mac != nil && lease.nonce == 0xdead_beef)
    let written = try #require(RecordCodec.encode(.lease(lease)))
    #expect(Lease(plain: written) == lease)
  }

  /// Bytes replaced, removed and doubled anywhere: nothing is read that the other does not read, or
  /// reads otherwise.
  @Test func spoiltRecords() {
    let seed = TestSeed()
    var random = seed.generator
    let whole = Array(Self.record.utf8)
    let spices = Array("\"\\{}[]:,0129eE+-.nulltrue \t\n\u{1}".utf8) + [0xff, 0xc3]
    var read = 0
    for _ in 0..<20_000 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[place] = spices.randomElement(using: &random) ?? 0
        case 1: bytes.remove(at: place)
        default: bytes.insert(spices.randomElement(using: &random) ?? 0, at: place)
        }
      }
      guard let lease = Lease(plain: bytes) else { continue }
      read += 1
      #expect(lease == byTree(bytes), "\(seed): \(String(decoding: bytes, as: UTF8.self))")
    }
    #expect(read > 500, "\(read) of the spoilt ones are leases still")
  }

  @Test(arguments: [
    #"{"attachment":null"#, #"{"more":1,"attachment""#, #"{"mac":null,"attachment""#,
  ])
  func whatIsOddIsLeftToTheOther(_ beginning: String) {
    let text = beginning + Self.record.dropFirst(#"{"attachment""#.count)
    #expect(Lease(plain: Array(text.utf8)) == nil)
  }
}
