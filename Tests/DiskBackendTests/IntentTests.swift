import AddressSpace
import Glibc
import IPAM
import Testing
import TestSupport

@testable import DiskBackend

// What a process that died in a commit of several files left behind.

@Suite struct IntentTests {
  @Test func whatWasLinkedIsUndone() async throws {
    for standing in [["10.1.0.7"], ["2001:db8::7"], ["10.1.0.7", "2001:db8::7"], []] {
      let fixture = try Scene()
      var intent = Intent()
      for name in ["10.1.0.7", "2001:db8::7"] {
        try fixture.write(name, "dead\r\neth0")
        intent.links.append(try fixture.file(name))
        if !standing.contains(name) { fixture.remove(name) }
      }
      try fixture.write("lock", intent)
      await #expect(throws: AllocationError.self) { try await fixture.check("dead") }
      #expect(try fixture.names == ["10.1.0.2", "lock"], "\(standing)")
      #expect(try fixture.content("lock") == "")
      try await fixture.check("alive")
    }
  }

  @Test func whatWasToGoGoes() async throws {
    let fixture = try Scene()
    var intent = Intent()
    intent.phase = .unlinking
    for (name, container) in [("10.1.0.7", "dead"), ("10.1.0.8", "dead"), ("10.1.0.9", "new")] {
      try fixture.write(name, "\(container)\r\neth0")
      let file = try fixture.file(name)
      if container == "new" { intent.links.append(file) } else { intent.unlinks.append(file) }
    }
    fixture.remove("10.1.0.7")
    try fixture.write("lock", intent)
    try await fixture.check("new")
    #expect(try fixture.names == ["10.1.0.2", "10.1.0.9", "lock"])
    #expect(try fixture.content("lock") == "")
  }

  @Test func anotherFileOfThatNameStays() async throws {
    let fixture = try Scene()
    var intent = Intent()
    for name in ["10.1.0.7", "10.1.0.8"] {
      try fixture.write(name, "dead\r\neth0")
      intent.links.append(try fixture.file(name))
    }
    // One was released and taken again, by the same container even; one was written over.
    fixture.remove("10.1.0.7")
    try fixture.write("blocks-the-inode", "")
    try fixture.write("10.1.0.7", "dead\r\neth0")
    try fixture.write("10.1.0.8", "else\r\neth0")
    try fixture.write("lock", intent)
    try await fixture.check("dead")
    try await fixture.check("else")
  }

  @Test func onlyAWholeIntentCounts() throws {
    var intent = Intent()
    intent.phase = .unlinking
    let file = Intent.File(
      name: "2001:db8::7", inode: .max, modified: FileTime(seconds: 1_700_000_000, nanoseconds: 1),
      content: 42)
    intent.links = [file, file]
    intent.unlinks = [file]
    let bytes = intent.encoded
    #expect(Intent(bytes) == intent)
    #expect(Intent(Intent().encoded) == Intent())
    for length in 0..<bytes.count { #expect(Intent(Array(bytes[..<length])) == nil) }
    for index in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[index] ^= 1 << bit
        #expect(Intent(damaged) == nil, "bit \(bit) of byte \(index)")
      }
    }
  }

  @Test func whatIsNoIntentIsNotHeeded() async throws {
    let fixture = try Scene()
    for text in [
      "L", "remove 10.1.0.2\n", String(repeating: "U cni-ipam-consul 1\n", count: 40_000),
    ] {
      try fixture.write("lock", text)
      try await fixture.check("alive")
      #expect(try fixture.content("lock") == "")
    }
  }

  @Test func aCommitLeavesNoIntent() async throws {
    let fixture = try DiskFixture([["10.1.0.0/24"], ["2001:db8::/64"]])
    for name in ["c1", "c2"] { try await fixture.acquire(name) }
    #expect(try fixture.content("lock") == "")
    try await fixture.release("c1")
    #expect(try fixture.content("lock") == "")
  }
}

/// A directory in which one attachment is alive.
private struct Scene {
  let fixture = try? DiskFixture([["10.1.0.0/24"], ["2001:db8::/64"]])

  init() throws {
    try unwrapped.makeDirectory()
    try unwrapped.write("10.1.0.2", "alive\r\neth0")
  }

  private var unwrapped: DiskFixture { get throws { try #require(fixture) } }

  var names: [String] { get throws { try unwrapped.names } }
  func content(_ name: String) throws -> String { try unwrapped.content(name) }
  func check(_ container: String) async throws { try await unwrapped.check(container) }
  func acquire(_ container: String) async throws { try await unwrapped.acquire(container) }
  func remove(_ name: String) { fixture?.remove(name) }
  func write(_ name: String, _ content: String) throws { try unwrapped.write(name, content) }

  func write(_ name: String, _ intent: Intent) throws {
    try unwrapped.write(name, String(decoding: intent.encoded, as: UTF8.self))
  }

  func file(_ name: String) throws -> Intent.File {
    var status = stat()
    #expect(lstat("\(try unwrapped.directory)/\(name)", &status) == 0)
    return Intent.File(
      name: name, inode: UInt64(status.st_ino), modified: FileTime(status.st_mtim),
      content: Fingerprint(try content(name).utf8).value)
  }
}
