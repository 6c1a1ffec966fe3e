// The processes of one node take turns at a network in Consul, by two locks beside the node's copy: one
// for whose turn it is, one for who comes next. That is for speed: who never gives a turn back keeps the
// others for a second, and from nothing.

internal import FoundationEssentials
internal import Glibc
import TestSupport
import Testing

@Suite(.needsConsul)
struct TurnTests {
  @Test(arguments: [["lock"], ["next"], ["lock", "next"]])
  func whoKeepsATurn(_ names: [String]) async throws {
    let network = try await TestNetwork(.consul)
    let configuration = network.configuration(["subnet": "10.7.0.0/24"])
    try await Call("ADD", configuration, container: "first").succeeds()

    let state = network.folder.path + "/state"
    let files = try FileManager.default.subpathsOfDirectory(atPath: state)
      .filter { names.contains(($0 as String).split(separator: "/").last.map(String.init) ?? "") }
    #expect(files.count == names.count, "\(files)")
    let held = files.map { open("\(state)/\($0)", O_RDWR | O_CLOEXEC) }
    for file in held { #expect(flock(file, LOCK_EX | LOCK_NB) == 0) }

    let began = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for container in ["c1", "c2", "c3"] {
        group.addTask { try await Call("ADD", configuration, container: container).succeeds() }
      }
      try await group.waitForAll()
    }
    let took = ContinuousClock.now - began
    #expect(took > .milliseconds(900) && took < .seconds(25), "\(took)")
    let audit = try network.audit()
    #expect(audit.holders.count == 4 && audit.problems.isEmpty, "\(audit)")

    for file in held { close(file) }
    // Who does not get the turn waits for a second each time; who does may be slow for other reasons.
    var quickest = Duration.seconds(1)
    for _ in 0..<50 where quickest > .milliseconds(900) {
      let next = ContinuousClock.now
      try await Call("DEL", configuration).succeeds()
      quickest = min(quickest, ContinuousClock.now - next)
    }
    #expect(quickest < .milliseconds(900), "the turn was not free again")
  }
}
