import AddressSpace
import DiskBackend
import Glibc
import IPAM
import IPAMTesting
import Testing
import TestSupport

// A file system that does not do what is asked of it, and a lock that others keep.

@Suite struct TroubleTests {
  @Test func aFullDiskLeavesNothingBehind() async throws {
    guard let disk = try await SmallDisk.mounted("size=64k") else { return }
    let fixture = try DiskFixture([["10.1.0.0/24"], ["2001:db8::/64"]], on: disk.path)
    try await fixture.acquire("c1")
    disk.fill()
    let before = try fixture.names
    let error = await #expect(throws: AllocationError.self) { try await fixture.acquire("c2") }
    guard case .store(let error) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(error.kind == .io)
    #expect(error.description.contains("no space left on device; free space or inodes"))
    #expect(error.description.contains(fixture.directory))
    #expect(try fixture.names == before)
    #expect(try fixture.content("lock") == "")
    try await fixture.check("c1")
    #expect(try await fixture.release("c1").count == 2)
    disk.clear()
    #expect(try await fixture.acquire("c2").count == 2)
    #expect(try await fixture.audit().isEmpty)
  }

  @Test func noInodesLeft() async throws {
    guard let disk = try await SmallDisk.mounted("size=1m,nr_inodes=9") else { return }
    // Root, network directory, lock, two files, two cursors: two inodes are left for the next.
    let fixture = try DiskFixture([["10.1.0.0/24"], ["2001:db8::/64"]], on: disk.path)
    try await fixture.acquire("c1")
    try writeFile(disk.path + "/one", "")
    let before = try fixture.names
    await #expect(throws: AllocationError.self) { try await fixture.acquire("c2") }
    #expect(try fixture.names == before)
    try await fixture.check("c1")
    #expect(try await fixture.audit().isEmpty)
  }

  @Test func aReadOnlyDisk() async throws {
    guard let disk = try await SmallDisk.mounted("size=1m") else { return }
    let fixture = try DiskFixture(on: disk.path)
    try await fixture.acquire("c1")
    try await disk.remount("ro")
    try await fixture.check("c1")
    for body in [{ try await fixture.acquire("c2") }, { try await fixture.release("c1") }] {
      let error = await #expect(throws: AllocationError.self) { try await body() }
      #expect(error?.description.contains("read-only file system") == true)
    }
    try await fixture.check("c1")
    try await disk.remount("rw")
    #expect(try await fixture.release("c1") == ["10.1.0.2"])
  }

  @Test func aFileInPlaceOfADirectory() async throws {
    let fixture = try DiskFixture()
    try writeFile(fixture.dataDirectory, "")
    for body in [{ try await fixture.acquire("c1") }, { try await fixture.release("c1") }] {
      let error = await #expect(throws: AllocationError.self) { try await body() }
      #expect(error?.description.contains("\(fixture.dataDirectory)/net: not a directory") == true)
    }
  }

  @Test func theLockIsWaitedForUntilTheDeadline() async throws {
    let fixture = try DiskFixture()
    try await fixture.acquire("c1")
    let descriptor = open(fixture.directory + "/lock", O_RDONLY | O_CLOEXEC)
    #expect(flock(descriptor, LOCK_EX) == 0)
    let store = fixture.store()
    for milliseconds in [0, 1, 50] as [UInt64] {
      let deadline = Surroundings.system.deadline(inMilliseconds: milliseconds)
      let error = await #expect(throws: StoreError.self) {
        try await store.read([.cursor(set: 0)], consistency: .stored, deadline: deadline)
      }
      #expect(error?.kind == .unavailable)
      #expect(error?.description.contains("\(fixture.directory)/lock") == true)
    }
    async let waiting = fixture.acquire("c2")
    close(descriptor)
    #expect(try await waiting == ["10.1.0.3"])
    // Those who gave up do not keep it.
    #expect(try await fixture.acquire("c3") == ["10.1.0.4"])
  }

  @Test func aTurnIsOverWhenItIsOver() async throws {
    let fixture = try DiskFixture()
    let store = fixture.store()
    let deadline = fixture.deadline
    // A task that outlives the turn that it was made in takes one of its own.
    let late = try await store.withTurn(deadline: deadline) {
      () async throws(AllocationError) -> Task<Int, any Error> in
      Task {
        try await Task.sleep(nanoseconds: 1_000_000)
        return try await store.read(
          [.cursor(set: 0)], consistency: .stored, deadline: deadline
        ).count
      }
    }
    #expect(try await late.value == 1)
  }
}

/// A small file system of its own, in memory.
private final class SmallDisk: Sendable {
  let folder: TemporaryFolder
  var path: String { folder.path + "/disk" }

  private init(_ folder: TemporaryFolder) { self.folder = folder }

  deinit { umount2(path, Int32(MNT_DETACH)) }

  /// Nil where nothing may be mounted.
  static func mounted(_ options: String) async throws -> SmallDisk? {
    let disk = SmallDisk(try TemporaryFolder())
    mkdir(disk.path, 0o755)
    do {
      try await ChildProcess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk.path])
      return disk
    } catch {
      if maySkip("cannot mount a file system: \(error)") { return nil }
      throw error
    }
  }

  /// A child that another test begins has copies of all descriptors until it runs its program: as long
  /// as one of a file that is being written is among them, the disk is busy.
  func remount(_ options: String) async throws {
    let command = ["mount", "-o", "remount,\(options)", path]
    try await eventually("the disk is remounted \(options)") {
      (try? await ChildProcess.run(command)) != nil
    }
  }

  func fill() {
    let descriptor = open(path + "/ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    let block = [UInt8](repeating: 0, count: 1_024)
    while write(descriptor, block, block.count) > 0 {}
    close(descriptor)
  }

  func clear() {
    unlink(path + "/ballast")
  }
}
