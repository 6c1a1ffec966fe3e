import AddressSpace
import IPAM
import TestSupport
import Testing

@testable import DiskBackend

@Suite struct JournalTests {
  private func event(_ number: Int) throws -> JournalEvent {
    JournalEvent(
      time: UInt64(number), kind: number % 2 == 0 ? .acquire : .release,
      addresses: [try IPAddress(parsing: "10.0.0.1"), try IPAddress(parsing: "2001:db8::1")],
      attachment: AttachmentKey(node: "a\tb", container: "c=%,/\n\(number)", interface: ""),
      workload: Workload(["K=1": "v,w", "L": ""]))
  }

  @Test func eventsComeBackInOrderAndTheFilesStayBounded() throws {
    let folder = try TemporaryFolder()
    let journal = Journal(stateDirectory: folder.path + "/state", network: "./net")
    let padding = Workload(["PAD": String(repeating: "x", count: 100_000)])
    for number in 0..<40 {
      var event = try event(number)
      event.workload = number < 39 ? padding : event.workload
      #expect(journal.append([event]))
    }
    #expect(Journal.networks(in: folder.path + "/state") == ["./net"])
    var seen: [JournalEvent] = []
    journal.visit { seen.append($0) }
    #expect(seen.last == (try event(39)))
    let times = seen.map(\.time)
    #expect(times == Array(UInt64(40 - times.count)...39))
    // Two files of a megabyte and a line beyond.
    #expect((11...23).contains(times.count), "\(times)")
  }

  @Test func linesThatAreNoneArePassedBy() throws {
    for line in [
      "", "1\tacquire", "x\tacquire\t10.0.0.1\t\tc\te\t", "1\tacquire\t10.0.0\t\tc\te\t",
    ] {
      #expect(JournalEvent(line: line) == nil, "\(line)")
    }
    let event = try event(2)
    #expect(JournalEvent(line: event.line) == event)
    #expect(!event.line.contains("\n"))
  }
}
