import AddressSpace
import DiskBackend
import Glibc
import IPAM
import Testing
import TestSupport

// Whatever stands in the directory: nothing hangs, nothing outside is touched, and what cannot be
// understood counts as taken.

@Suite struct HostileDirectoryTests {
  @Test func whatIsNoPlainFileBlocksItsAddress() async throws {
    let fixture = try DiskFixture([["10.1.0.0/28"]])
    try fixture.makeDirectory()
    let outside = fixture.folder.path + "/outside"
    try writeFile(outside, "c1\r\neth0")
    mkdir("\(fixture.directory)/10.1.0.2", 0o755)
    try writeFile("\(fixture.directory)/10.1.0.2/10.1.0.9", "c1\r\neth0")
    symlink(outside, "\(fixture.directory)/10.1.0.3")
    symlink("/nonexistent", "\(fixture.directory)/10.1.0.4")
    mkfifo("\(fixture.directory)/10.1.0.5", 0o600)
    symlink("10.1.0.6", "\(fixture.directory)/10.1.0.6")
    try fixture.write("10.1.0.7", String(repeating: "x", count: 100_000))
    try fixture.write("10.1.0.8", "\u{FFFD}\0\r\n\r\n")
    await #expect(throws: AllocationError.self) { try await fixture.check("c1") }
    #expect(try await fixture.release("c1") == [])
    #expect(try await fixture.acquire("c2") == ["10.1.0.9"])
    #expect(try content(of: outside) == "c1\r\neth0")
    for address in 2...8 {
      await #expect(throws: AllocationError.self, "10.1.0.\(address)") {
        try await fixture.acquire("c3", requested: ["10.1.0.\(address)"])
      }
    }
    let kinds = try await fixture.audit().map(\.kind)
    #expect(kinds == Array(repeating: .damaged, count: 7))
  }

  @Test func namesThatAreNoCanonicalAddress() async throws {
    let fixture = try DiskFixture()
    try fixture.makeDirectory()
    let names = [
      "10.1.0.02", "010.1.0.2", "10.1.0.2.bak", "10.1.0", "10.1.0.2 ", "::FFFF", "2001:DB8::2",
      "2001:db8:0::2", "::ffff:10.1.0.2", "lock~", "last_reserved_ip.00", "-", "10.1.0.2\n",
    ]
    for name in names { try fixture.write(name, "c1\r\neth0") }
    await #expect(throws: AllocationError.self) { try await fixture.check("c1") }
    #expect(try await fixture.acquire("c2") == ["10.1.0.2"])
    #expect(Set(names).isSubset(of: Set(try fixture.names)))
  }

  @Test func anEmptyFileIsTakenOver() async throws {
    let fixture = try DiskFixture([["10.1.0.0/29"]])
    try fixture.makeDirectory()
    for address in 2...6 { try fixture.write("10.1.0.\(address)", "") }
    for address in 2...6 {
      #expect(try await fixture.acquire("c\(address)") == ["10.1.0.\(address)"])
      #expect(try fixture.content("10.1.0.\(address)") == "c\(address)\r\neth0")
    }
    await #expect(throws: AllocationError.self) { try await fixture.acquire("c7") }
  }

  @Test func theCursorIsNotFollowedOutside() async throws {
    let fixture = try DiskFixture()
    try fixture.makeDirectory()
    let outside = fixture.folder.path + "/outside"
    try writeFile(outside, "10.1.0.99")
    symlink(outside, "\(fixture.directory)/last_reserved_ip.0")
    #expect(try await fixture.acquire("c1") == ["10.1.0.2"])
    #expect(try content(of: outside) == "10.1.0.99")
    #expect(try fixture.content("last_reserved_ip.0") == "10.1.0.2")
    fixture.remove("last_reserved_ip.0")
    link(outside, "\(fixture.directory)/last_reserved_ip.0")
    #expect(try await fixture.acquire("c0") == ["10.1.0.100"], "a hard link is read")
    #expect(try content(of: outside) == "10.1.0.99", "and not written through")
    #expect(try fixture.content("last_reserved_ip.0") == "10.1.0.100")
    fixture.remove("last_reserved_ip.0")
    mkfifo("\(fixture.directory)/last_reserved_ip.0", 0o600)
    #expect(try await fixture.acquire("c2") == ["10.1.0.3"])
    fixture.remove("last_reserved_ip.0")
    mkdir("\(fixture.directory)/last_reserved_ip.0", 0o755)
    #expect(try await fixture.acquire("c3") == ["10.1.0.4"])
  }

  @Test(arguments: ["fifo", "link", "directory"])
  func theLockMustBeAPlainFile(_ kind: String) async throws {
    let fixture = try DiskFixture()
    try fixture.makeDirectory()
    let lock = "\(fixture.directory)/lock"
    switch kind {
    case "fifo": mkfifo(lock, 0o600)
    case "link": symlink("/dev/null", lock)
    default: mkdir(lock, 0o755)
    }
    let error = await #expect(throws: AllocationError.self) { try await fixture.acquire("c1") }
    guard case .store(let error) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(error.kind == .io && error.description.contains(lock))
    #expect(try fixture.names == ["lock"])
  }

  @Test func leftoversOfDeadProcessesGo() async throws {
    let fixture = try DiskFixture()
    try fixture.makeDirectory()
    try fixture.write(".cni-ipam-consul.10.1.0.2", "dead\r\neth0")
    try fixture.write(".cni-ipam-consul.last_reserved_ip.0", "10.1")
    await #expect(throws: AllocationError.self) { try await fixture.check("dead") }
    try await fixture.acquire("c1")
    #expect(try fixture.names == ["10.1.0.2", "last_reserved_ip.0", "lock"])
  }

  @Test func aForeignFileThatAppearsWithoutTheLock() async throws {
    let fixture = try DiskFixture()
    let allocator = fixture.allocator()
    try await fixture.acquire("c1", from: allocator)
    try fixture.write("10.1.0.3", "theirs\r\neth0")
    #expect(try await fixture.acquire("c2", from: allocator) == ["10.1.0.4"])
    // Changed in place: only the file itself tells, and before it goes it is asked.
    try fixture.write("10.1.0.4", "theirs\r\neth0")
    #expect(try await fixture.release("c2", from: allocator) == [])
    #expect(try fixture.content("10.1.0.4") == "theirs\r\neth0")
  }

  @Test func aDirectoryThatIsRemovedAndMadeAgain() async throws {
    let fixture = try DiskFixture()
    let store = fixture.store()
    #expect(try await fixture.acquire("c1", from: fixture.allocator(store)) == ["10.1.0.2"])
    rename(fixture.directory, fixture.directory + ".old")
    #expect(try await fixture.release("c1", from: fixture.allocator(store)) == [])
    #expect(try await fixture.acquire("c2", from: fixture.allocator(store)) == ["10.1.0.2"])
    #expect(try fixture.names == ["10.1.0.2", "last_reserved_ip.0", "lock"])
    // And the first one comes back, as it was left.
    rename(fixture.directory, fixture.directory + ".new")
    rename(fixture.directory + ".old", fixture.directory)
    #expect(try await fixture.release("c2", from: fixture.allocator(store)) == [])
    #expect(try await fixture.release("c1", from: fixture.allocator(store)) == ["10.1.0.2"])
  }

  private func content(of path: String) throws -> String {
    String(decoding: try readFile(path), as: UTF8.self)
  }
}
