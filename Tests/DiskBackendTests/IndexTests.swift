import DiskBackend
import Glibc
import IPAM
import Testing
import TestSupport

// The index makes a new process O(1) in the number of reservations, and never tells anything that the
// directory does not.

@Suite struct IndexTests {
  /// A directory with so many reservations that it has an index.
  private func indexed(_ count: Int = 100) async throws -> DiskFixture {
    let fixture = try DiskFixture([["10.1.0.0/16"]])
    try fixture.makeDirectory()
    for number in 0..<count {
      try fixture.write("10.1.1.\(number)", "c\(number)\r\neth0")
    }
    try await fixture.check("c0")
    return fixture
  }

  private func indexPath(_ fixture: DiskFixture) throws -> String {
    let folder = "\(fixture.folder.path)/state/index"
    let stream = try #require(opendir(folder))
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { return "\(folder)/\(name)" }
    }
    throw TestSupportError("\(folder) is empty")
  }

  /// A content changed in place leaves the directory's time: whoever reads all files finds the new
  /// holder, whoever trusts the index does not.
  @Test func aNewProcessReadsNoOtherFiles() async throws {
    let fixture = try await indexed()
    let path = "\(fixture.directory)/10.1.1.50"
    try writeFile(path, "elsewhere\r\neth0")
    await #expect(throws: AllocationError.self) { try await fixture.check("elsewhere") }
    try await fixture.acquire("new")
    #expect(try await fixture.release("new").count == 1)
    await #expect(throws: AllocationError.self) { try await fixture.check("elsewhere") }
    // A foreign hand that keeps to the format changes the directory, and all is read again.
    try fixture.write("10.1.2.1", "foreign\r\neth0")
    try await fixture.check("elsewhere")
    try await fixture.check("foreign")
  }

  @Test(arguments: [0, 8, 64, 111, 112, 2_000])
  func aDamagedIndexIsNotBelieved(_ length: Int) async throws {
    let fixture = try await indexed()
    let path = try indexPath(fixture)
    #expect(truncate(path, off_t(length)) == 0)
    try await fixture.check("c99")
    #expect(try await fixture.release("c7") == ["10.1.1.7"])
    #expect(try await fixture.acquire("new", requested: ["10.1.1.7"]) == ["10.1.1.7"])
    #expect(try await fixture.audit() == [])
  }

  @Test func anIndexOfAnotherBootIsNotBelieved() async throws {
    let fixture = try await indexed()
    let path = try indexPath(fixture)
    try writeFile("\(fixture.directory)/10.1.1.50", "elsewhere\r\neth0")
    var bytes = try readFile(path)
    // The boot is the second word; the checksum, the fourteenth, is that of the first thirteen.
    bytes[8] ^= 1
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes[..<104] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    for byte in 0..<8 { bytes[104 + byte] = UInt8(truncatingIfNeeded: hash >> (8 * UInt64(byte))) }
    try writeFile(path, bytes: bytes)
    try await fixture.check("elsewhere")
  }

  @Test func aStateDirectoryThatCannotBeWrittenCostsOnlySpeed() async throws {
    let fixture = try DiskFixture([["10.1.0.0/16"]])
    try fixture.makeDirectory()
    for number in 0..<100 { try fixture.write("10.1.1.\(number)", "c\(number)\r\neth0") }
    try writeFile(fixture.folder.path + "/state", "not a directory")
    try await fixture.check("c5")
    #expect(try await fixture.acquire("new") == ["10.1.0.2"])
    #expect(try await fixture.release("c5") == ["10.1.1.5"])
  }

  /// Random commands, each by a new process's store, with foreign hands between them, beside a
  /// dictionary that is obviously right.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func agreesWithAModel(_ seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    let fixture = try await indexed(150)
    var held: [String: String] = [:]
    for number in 0..<150 { held["c\(number)"] = "10.1.1.\(number)" }
    for step in 0..<400 {
      let name = "c\(Int.random(in: 0..<400, using: &random))"
      switch Int.random(in: 0..<20, using: &random) {
      case 0:
        let address = "10.1.9.\(step % 250)"
        guard held[name] == nil, !held.values.contains(address) else { continue }
        try fixture.write(address, "\(name)\r\neth0")
        held[name] = address
      case 1:
        guard let address = held.removeValue(forKey: name) else { continue }
        fixture.remove(address)
      case _ where held[name] == nil:
        let got = try await fixture.acquire(name)
        #expect(got.count == 1 && !held.values.contains(got[0]), "step \(step): \(got)")
        held[name] = got[0]
      default:
        #expect(try await fixture.release(name) == [held[name]], "step \(step), \(name)")
        held[name] = nil
      }
    }
    #expect(
      Set(try fixture.names.filter { $0.hasPrefix("10.") }) == Set(held.values), "seed \(seed)")
    #expect(try await fixture.audit() == [])
  }
}
