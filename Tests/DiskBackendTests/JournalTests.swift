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
      workload: Workload(["K=1": "v,w", "L": ""]), nonce: UInt64(number))
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

  /// A network's older file is no other network's file, whatever the names end with.
  @Test func networksDoNotShareFiles() throws {
    let folder = try TemporaryFolder()
    let names = ["net", "net.1", "net,1", "net.1.1"]
    let padding = Workload(["PAD": String(repeating: "x", count: Journal.fileSize)])
    for (number, name) in names.enumerated() {
      let journal = Journal(stateDirectory: folder.path, network: name)
      for time in 0..<2 {
        var event = try event(10 * number + time)
        event.workload = padding
        #expect(journal.append([event]))
      }
      #expect(journal.append([try event(10 * number + 2)]))
    }
    #expect(Journal.networks(in: folder.path) == names.sorted())
    for (number, name) in names.enumerated() {
      var times: [UInt64] = []
      Journal(stateDirectory: folder.path, network: name).visit { times.append($0.time) }
      #expect(times == [UInt64(10 * number + 1), UInt64(10 * number + 2)], "\(name)")
    }
  }
}
