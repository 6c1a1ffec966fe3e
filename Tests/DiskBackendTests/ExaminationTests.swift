import AddressSpace
import Glibc
import IPAM
import TestSupport
import Testing

@testable import DiskBackend

// Every kind of file is spoilt in turn: it is found, said to be mendable or not, and mended without
// anything else being touched.

@Suite struct ExaminationTests {
  /// A directory with as many reservations of 10.1.1.0/24 as have an index, and a journal.
  private func directory() async throws -> DiskFixture {
    let fixture = try DiskFixture([["10.1.0.0/16"], ["2001:db8::/64"]])
    try fixture.makeDirectory()
    for number in 0..<100 { try fixture.write("10.1.1.\(number)", "c\(number)\r\neth0") }
    try await fixture.acquire("both")
    let event = JournalEvent(
      time: 1, kind: .acquire, addresses: [try IPAddress(parsing: "10.1.1.1")],
      attachment: .named("c1"))
    #expect(Self.journal(fixture).append([event]))
    let found = try await Self.examine(fixture)
    #expect(found.left == [] && found.mended == [])
    return fixture
  }

  private static func journal(_ fixture: DiskFixture) -> Journal {
    Journal(stateDirectory: fixture.folder.path + "/state", network: "net")
  }

  private static func examine(
    _ fixture: DiskFixture, repairing: Bool = false
  ) async throws -> DiskStore.Examined {
    try #require(
      try await fixture.store().examine(
        journal: journal(fixture), repairing: repairing, deadline: fixture.deadline))
  }

  private static func index(_ fixture: DiskFixture) throws -> String {
    try #require(
      IndexFile(
        stateDirectory: fixture.folder.path + "/state", directory: fixture.directory)
    ).path
  }

  /// Finds one thing in a place, twice, mends it or not, and finds it gone or again.
  private func expect(
    _ kind: DirectoryFinding.Kind, at file: String, isMendable: Bool, in fixture: DiskFixture,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let before = try fixture.names
    for _ in 0..<2 {
      let found = try await Self.examine(fixture)
      #expect(found.left.map(\.kind) == [kind], "\(found)", sourceLocation: sourceLocation)
      #expect(found.left.first?.file == file, "\(found)", sourceLocation: sourceLocation)
      #expect(
        found.left.first?.isMendable == isMendable, "\(found)", sourceLocation: sourceLocation)
      #expect(found.mended == [], sourceLocation: sourceLocation)
    }
    #expect(try fixture.names == before, "looking changes nothing", sourceLocation: sourceLocation)
    let repaired = try await Self.examine(fixture, repairing: true)
    #expect(
      repaired.mended.map(\.kind) == (isMendable ? [kind] : []), "\(repaired)",
      sourceLocation: sourceLocation)
    #expect(
      repaired.left.map(\.kind) == (isMendable ? [] : [kind]), "\(repaired)",
      sourceLocation: sourceLocation)
    #expect(
      Set(before).subtracting(try fixture.names).isSubset(of: [
        String(file.split(separator: "/").last ?? "")
      ]),
      sourceLocation: sourceLocation)
    // Nobody lost anything.
    for number in 0..<100 {
      #expect(try fixture.content("10.1.1.\(number)") == "c\(number)\r\neth0")
    }
    try await fixture.check("both")
    #expect(try await fixture.acquire("next").count == 2, sourceLocation: sourceLocation)
    #expect(try await fixture.release("next").count == 2, sourceLocation: sourceLocation)
  }

  @Test(arguments: ["10.1.7.7", "2001:db8::7:7"])
  func anEmptyFile(_ name: String) async throws {
    let fixture = try await directory()
    try fixture.write(name, "")
    try await expect(
      .emptyFile, at: "\(fixture.directory)/\(name)", isMendable: true, in: fixture)
  }

  @Test func aFileThatIsTooLong() async throws {
    try await aFileThatDoesNotSayWhose(String(repeating: "x", count: 5_000))
  }

  @Test(arguments: ["\u{FFFD}\0\r\n\r\n", "c\r\n\r\neth0"])
  func aFileThatDoesNotSayWhose(_ content: String) async throws {
    let fixture = try await directory()
    try fixture.write("10.1.7.7", content)
    try await expect(
      .unreadableFile, at: "\(fixture.directory)/10.1.7.7", isMendable: false, in: fixture)
    #expect(try fixture.content("10.1.7.7") == content)
  }

  @Test(arguments: ["10.1.7.7", "last_reserved_ip.0", "last_reserved_ip.7", "some-pipe"])
  func whatIsNoPlainFile(_ name: String) async throws {
    let fixture = try await directory()
    fixture.remove(name)
    #expect(mkfifo("\(fixture.directory)/\(name)", 0o600) == 0)
    let kind: DirectoryFinding.Kind =
      name.hasPrefix("10")
      ? .unreadableFile : name.hasPrefix("last") ? .damagedCursor : .foreignFile
    let found = try await Self.examine(fixture)
    #expect(found.left.map(\.kind) == [kind], "\(found)")
    let repaired = try await Self.examine(fixture, repairing: true)
    #expect(repaired.left == found.left && repaired.mended == [])
    #expect(fixture.mode(name) == 0o600)
  }

  @Test(arguments: ["README", "10.1.0.2~", ".10.1.0.2.swp", "lock~", "last_reserved_ip.00"])
  func whatIsInNobodysWay(_ name: String) async throws {
    let fixture = try await directory()
    try fixture.write(name, "c1\r\neth0")
    #expect(mkdir("\(fixture.directory)/backup", 0o755) == 0)
    let before = try fixture.content(name)
    for repairing in [false, true] {
      let found = try await Self.examine(fixture, repairing: repairing)
      #expect(found.left.isEmpty && found.mended.isEmpty, "\(found)")
      #expect(found.remarks.map(\.kind) == [.otherFile, .otherFile], "\(found)")
      #expect(
        Set(found.remarks.map(\.file)) == [
          "\(fixture.directory)/\(name)", "\(fixture.directory)/backup",
        ])
    }
    #expect(try fixture.content(name) == before)
  }

  @Test(arguments: ["10.1.0.02", "2001:DB8::2", "::ffff:10.1.0.2"])
  func aFileThatReservesNothing(_ name: String) async throws {
    let fixture = try await directory()
    try fixture.write(name, "c1\r\neth0")
    try await expect(
      .foreignFile, at: "\(fixture.directory)/\(name)", isMendable: false, in: fixture)
  }

  @Test func whatADeadProcessLeft() async throws {
    let fixture = try await directory()
    let name = ".cni-ipam-consul.10.1.7.7"
    try fixture.write(name, "dead\r\neth0")
    try await expect(
      .leftover, at: "\(fixture.directory)/\(name)", isMendable: true, in: fixture)
    let draft = try Self.index(fixture) + ".4711"
    try writeFile(draft, "half an index")
    try await expect(.leftover, at: draft, isMendable: true, in: fixture)
    #expect(access(draft, F_OK) != 0)
  }

  @Test func aCommitThatWasNotEnded() async throws {
    let fixture = try await directory()
    let lock = "\(fixture.directory)/lock"
    try fixture.write("lock", "L cni-ipam-consul 1\n+ 10.1.1.5")
    try await expect(.unfinishedCommit, at: lock, isMendable: true, in: fixture)
    var intent = Intent()
    try fixture.write("10.1.7.7", "dead\r\neth0")
    let directory = try Descriptor(directory: fixture.directory)
    let status = try #require(try directory.status(of: "10.1.7.7"))
    intent.links = [
      Intent.File(
        name: "10.1.7.7", inode: status.identity.inode, modified: status.modified,
        content: Fingerprint(Array("dead\r\neth0".utf8)).value)
    ]
    try fixture.write("lock", String(decoding: intent.encoded, as: UTF8.self))
    let found = try await Self.examine(fixture)
    #expect(found.left.map(\.kind) == [.unfinishedCommit], "\(found)")
    #expect(try fixture.content("10.1.7.7") == "dead\r\neth0", "looking undoes nothing")
    let repaired = try await Self.examine(fixture, repairing: true)
    #expect(repaired.mended.map(\.kind) == [.unfinishedCommit] && repaired.left == [])
    #expect(try !fixture.names.contains("10.1.7.7"))
    #expect(try fixture.content("lock") == "")
  }

  @Test func anAddressOutsideTheRangesAndTwoOfOneSet() async throws {
    let fixture = try await directory()
    try fixture.write("10.9.0.2", "far\r\neth0")
    try await expect(
      .outsideRanges, at: "\(fixture.directory)/10.9.0.2", isMendable: false, in: fixture)
    fixture.remove("10.9.0.2")
    try fixture.write("10.1.7.7", "c7\r\neth0")
    try await expect(
      .attachmentTwice, at: "\(fixture.directory)/10.1.1.7", isMendable: false, in: fixture)
    let store = DiskStore(
      directory: fixture.dataDirectory, network: "net", definition: nil,
      stateDirectory: fixture.folder.path + "/state")
    let blind = try #require(
      try await store.examine(
        journal: Self.journal(fixture), repairing: false, deadline: fixture.deadline))
    #expect(blind.left == [], "without a definition no range is known")
  }

  @Test(arguments: ["", "nonsense", "10.9.0.1"])
  func aCursorThatIsNone(_ content: String) async throws {
    let fixture = try await directory()
    try fixture.write("last_reserved_ip.0", content)
    try await expect(
      .damagedCursor, at: "\(fixture.directory)/last_reserved_ip.0", isMendable: true, in: fixture)
  }

  /// A content changed in place leaves the directory's time, by which the index is believed.
  @Test func anIndexThatIsWrong() async throws {
    let fixture = try await directory()
    // The files were written by others: the first look at them makes the index.
    try await fixture.acquire("one-more")
    let path = try Self.index(fixture)
    try writeFile("\(fixture.directory)/10.1.1.50", "elsewhere\r\neth0")
    let found = try await Self.examine(fixture)
    #expect(found.left.map(\.kind) == [.falseIndex], "\(found)")
    await #expect(throws: AllocationError.self) { try await fixture.check("elsewhere") }
    let repaired = try await Self.examine(fixture, repairing: true)
    #expect(repaired.mended.map(\.kind) == [.falseIndex] && repaired.left == [], "\(repaired)")
    try await fixture.check("elsewhere")
    try fixture.write("10.1.1.50", "c50\r\neth0")
    // Its tables are gone, its header is not.
    try await fixture.acquire("another")
    let header = try Descriptor(file: path, flags: O_RDWR)
    let size = try header.status().size
    try header.write(
      Array(repeating: 0, count: size - IndexHeader.size), at: IndexHeader.size)
    #expect(try await Self.examine(fixture).left.map(\.kind) == [.falseIndex])
    #expect(try await Self.examine(fixture, repairing: true).left == [])
    #expect(try await fixture.release("another").count == 2)
  }

  @Test func anIndexThatIsNone() async throws {
    let fixture = try await directory()
    let path = try Self.index(fixture)
    try writeFile(path, "no index at all")
    try await expect(.damagedIndex, at: path, isMendable: true, in: fixture)
  }

  @Test func aJournalWithTornLines() async throws {
    let fixture = try await directory()
    let path = fixture.folder.path + "/state/journal/net"
    let whole = String(decoding: try readFile(path), as: UTF8.self)
    try writeFile(path, "1\tacq\(whole)no event\n\(whole)1772")
    try await expect(.damagedJournal, at: path, isMendable: true, in: fixture)
    let mended = String(decoding: try readFile(path), as: UTF8.self)
    #expect(mended.utf8.count == 5 + whole.utf8.count * 2 + 9 + 4)
    #expect(mended.hasSuffix("\n\(whole)1772"), "what may be on its way stays")
    var events: [JournalEvent] = []
    Self.journal(fixture).visit { events.append($0) }
    #expect(events.count == 1)
  }

  @Test func aDirectoryThatIsNotThere() async throws {
    let fixture = try DiskFixture()
    let found = try await fixture.store().examine(
      journal: Self.journal(fixture), repairing: true, deadline: fixture.deadline)
    #expect(found == nil)
    #expect(access(fixture.dataDirectory, F_OK) != 0, "and is not made")
  }
}
