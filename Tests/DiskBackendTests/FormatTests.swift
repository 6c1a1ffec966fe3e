import AddressSpace
import DiskBackend
import Glibc
import IPAM
import IPAMTesting
import Testing
import TestSupport

// The directory looks as if host-local had written it.

@Suite struct FormatTests {
  @Test func filesAreHostLocals() async throws {
    let fixture = try DiskFixture([["10.1.0.0/24"], ["2001:db8::/64"]])
    #expect(try await fixture.acquire("c1") == ["10.1.0.2", "2001:db8::2"])
    #expect(
      try fixture.names
        == ["10.1.0.2", "2001:db8::2", "last_reserved_ip.0", "last_reserved_ip.1", "lock"])
    #expect(try fixture.content("10.1.0.2") == "c1\r\neth0")
    #expect(try fixture.content("2001:db8::2") == "c1\r\neth0")
    #expect(try fixture.content("last_reserved_ip.0") == "10.1.0.2")
    #expect(try fixture.content("last_reserved_ip.1") == "2001:db8::2")
    #expect(try fixture.content("lock") == "")
    for (name, mode) in [
      ("10.1.0.2", 0o644), ("last_reserved_ip.0", 0o644), ("lock", 0o750), ("", 0o755),
    ] as [(String, mode_t)] {
      #expect(fixture.mode(name) == mode, "mode of \(name)")
    }
    #expect(Set(try await fixture.release("c1")) == ["10.1.0.2", "2001:db8::2"])
    #expect(try fixture.names == ["last_reserved_ip.0", "last_reserved_ip.1", "lock"])
  }

  @Test func nothingIsCreatedButByACommit() async throws {
    let fixture = try DiskFixture()
    #expect(try await fixture.release("c1") == [])
    await #expect(throws: AllocationError.self) { try await fixture.check("c1") }
    #expect(throws: TestSupportError.self) { try fixture.names }
    #expect(access(fixture.dataDirectory, F_OK) != 0)
  }

  @Test func roundRobinGoesOnBehindTheLast() async throws {
    let fixture = try DiskFixture()
    #expect(try await fixture.acquire("c1") == ["10.1.0.2"])
    try await fixture.release("c1")
    #expect(try await fixture.acquire("c2") == ["10.1.0.3"])
    #expect(try await fixture.acquire("c3", requested: ["10.1.0.100"]) == ["10.1.0.100"])
    #expect(try await fixture.acquire("c4") == ["10.1.0.101"])
    try fixture.write("last_reserved_ip.0", "10.1.0.254")
    #expect(try await fixture.acquire("c5") == ["10.1.0.2"])
    #expect(try fixture.content("last_reserved_ip.0") == "10.1.0.2", "nothing of the longer one")
    for nonsense in ["10.1.0.9\n", "", "zz", "192.0.2.1", String(repeating: "1", count: 5_000)] {
      try fixture.write("last_reserved_ip.0", nonsense)
      try await fixture.release("c5")
      #expect(try await fixture.acquire("c5") == ["10.1.0.2"], "\(nonsense.prefix(20))")
      #expect(try fixture.content("last_reserved_ip.0") == "10.1.0.2", "\(nonsense.prefix(20))")
    }
  }

  @Test func reservationsOfPluginsThatKnewNoInterface() async throws {
    let fixture = try DiskFixture()
    try fixture.makeDirectory()
    try fixture.write("10.1.0.7", "old")
    try fixture.write("10.1.0.8", "old\r\neth0")
    try fixture.write("10.1.0.9", " old \n")
    try await fixture.check("old")
    #expect(try await fixture.release("old") == ["10.1.0.8"])
    #expect(try await fixture.release("old") == ["10.1.0.7", "10.1.0.9"])
    #expect(try await fixture.release("old") == [])
  }

  @Test func whiteSpaceAroundAContentDoesNotCount() async throws {
    let fixture = try DiskFixture()
    try fixture.makeDirectory()
    try fixture.write("10.1.0.7", "c1\r\neth0\r\n")
    try fixture.write("10.1.0.8", "c2\neth0")
    try await fixture.check("c1")
    await #expect(throws: AllocationError.self) { try await fixture.check("c2") }
    #expect(try await fixture.release("c1") == ["10.1.0.7"])
  }

  @Test func addressesOutsideAllRangesAreReleased() async throws {
    let fixture = try DiskFixture()
    try fixture.makeDirectory()
    try fixture.write("10.1.0.7", "c1\r\neth0")
    try fixture.write("192.0.2.7", "c1\r\neth0")
    try fixture.write("2001:db8::7", "c1\r\neth0")
    let held = try await fixture.release("c1")
    #expect(Set(held) == ["10.1.0.7", "192.0.2.7", "2001:db8::7"])
    #expect(try fixture.names == ["lock"])

    try fixture.write("10.1.0.7", "c1\r\neth0")
    let store = DiskStore(
      directory: fixture.dataDirectory, network: "net", definition: nil,
      stateDirectory: fixture.folder.path)
    let allocator = NetworkAllocator(
      store: store, networkName: "net", definition: nil, node: Node(name: ""),
      surroundings: .system)
    let released = try await allocator.release([.named("c1")], deadline: fixture.deadline)
    #expect(released?.holdings.count == 1)
    #expect(try fixture.names == ["lock"])
  }

  @Test func aContainerNamedLikeAnAddressOwnsNoCursor() async throws {
    let fixture = try DiskFixture()
    try await fixture.acquire("c1")
    await #expect(throws: AllocationError.self) { try await fixture.check("10.1.0.2") }
    #expect(try await fixture.release("10.1.0.2") == [])
    #expect(try fixture.content("last_reserved_ip.0") == "10.1.0.2")
  }

  @Test func aContainerThatIsTooLong() async throws {
    try await attachmentsThatNoFileCanName(String(repeating: "x", count: 4_096))
  }

  @Test(arguments: ["a\nb", "a\r\nb", " a", "a ", "", "a\r"])
  func attachmentsThatNoFileCanName(_ container: String) async throws {
    let fixture = try DiskFixture()
    await #expect(throws: AllocationError.self) { try await fixture.acquire(container) }
    if let names = try? fixture.names { #expect(names == ["lock"]) }
  }

  @Test(arguments: ["", ".", "..", "a/b", "/etc", "a\0b"])
  func networksThatNoDirectoryCanBe(_ network: String) async throws {
    let fixture = try DiskFixture()
    let store = DiskStore(
      directory: fixture.dataDirectory, network: network, definition: fixture.definition,
      stateDirectory: fixture.folder.path)
    await #expect(throws: StoreError.self) {
      try await store.read([.cursor(set: 0)], consistency: .stored, deadline: fixture.deadline)
    }
  }
}
