import AddressSpace
import DiskBackend
import Glibc
import IPAM
import Testing
import TestSupport

// The distribution's host-local and ours on one directory.

@Suite(.enabled(if: isHostLocalInstalled))
struct HostLocalTests {
  @Test func oursChecksAndReleasesTheirs() async throws {
    let fixture = try DiskFixture([["10.1.0.0/24"], ["2001:db8::/64"]])
    for index in 1...5 {
      let ended = try await fixture.hostLocal("ADD", "c\(index)")
      #expect(ended.exitStatus == 0, "\(ended)")
    }
    for index in 1...5 { try await fixture.check("c\(index)") }
    #expect(try await fixture.release("c3") == ["10.1.0.4", "2001:db8::4"])
    #expect(try await fixture.hostLocal("CHECK", "c3").exitStatus == 1)
    #expect(try await fixture.acquire("ours") == ["10.1.0.7", "2001:db8::7"])
    #expect(try await fixture.audit().isEmpty)
  }

  @Test func theirsChecksAndReleasesOurs() async throws {
    let fixture = try DiskFixture([["10.1.0.0/24"], ["2001:db8::/64"]])
    for index in 1...5 { try await fixture.acquire("c\(index)") }
    for index in 1...5 {
      #expect(try await fixture.hostLocal("CHECK", "c\(index)").exitStatus == 0)
    }
    #expect(try await fixture.hostLocal("DEL", "c3").exitStatus == 0)
    await #expect(throws: AllocationError.self) { try await fixture.check("c3") }
    #expect(try fixture.names.contains("10.1.0.4") == false)
    let theirs = try await fixture.hostLocal("ADD", "theirs")
    #expect(theirs.output.contains("10.1.0.7/24") && theirs.output.contains("2001:db8::7/64"))
    let duplicate = try await fixture.hostLocal("ADD", "c1")
    #expect(duplicate.output.contains("has been allocated to c1"))
  }

  @Test func aStoreThatLivesOnSeesWhatTheyDo() async throws {
    let fixture = try DiskFixture()
    let allocator = fixture.allocator()
    for round in 0..<5 {
      let ours = try await fixture.acquire("ours\(round)", from: allocator)
      let ended = try await fixture.hostLocal("ADD", "theirs\(round)")
      #expect(ended.exitStatus == 0)
      #expect(!ended.output.contains("\(ours[0])/"), "\(ours) twice: \(ended)")
      if round % 2 == 0 {
        _ = try await fixture.hostLocal("DEL", "ours\(round)")
        #expect(try await fixture.release("ours\(round)", from: allocator) == [])
      } else {
        #expect(try await fixture.release("theirs\(round)", from: allocator).count == 1)
        #expect(try await fixture.hostLocal("CHECK", "theirs\(round)").exitStatus == 1)
      }
    }
    #expect(try await fixture.audit().isEmpty)
  }

  /// 64 at once, every other one theirs; then all go, each released by the other side.
  @Test func bothAtOnceUnderLoad() async throws {
    let fixture = try DiskFixture([["10.1.0.0/24"], ["2001:db8::/64"]])
    try await withThrowingTaskGroup { group in
      for index in 0..<64 {
        group.addTask {
          if index % 2 == 0 {
            let addresses = try await fixture.acquire("c\(index)")
            #expect(addresses.count == 2)
          } else {
            let ended = try await fixture.hostLocal("ADD", "c\(index)")
            #expect(ended.exitStatus == 0, "\(ended)")
          }
        }
      }
      try await group.waitForAll()
    }
    let files = try fixture.names.filter { $0 != "lock" && !$0.hasPrefix("last_") }
    #expect(files.count == 128)
    #expect(try await fixture.audit().isEmpty)
    for index in 0..<64 { try await fixture.check("c\(index)") }
    try await withThrowingTaskGroup { group in
      for index in 0..<64 {
        group.addTask {
          if index % 2 == 1 {
            let released = try await fixture.release("c\(index)")
            #expect(released.count == 2)
          } else {
            let ended = try await fixture.hostLocal("DEL", "c\(index)")
            #expect(ended.exitStatus == 0)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try fixture.names == ["last_reserved_ip.0", "last_reserved_ip.1", "lock"])
  }

  /// A range that is just large enough: nobody is refused before it is full.
  @Test func bothUntilNothingIsLeft() async throws {
    let fixture = try DiskFixture([["10.1.0.0/28"]])
    try await withThrowingTaskGroup { group in
      for index in 0..<13 {
        group.addTask {
          if index % 2 == 0 {
            try await fixture.acquire("c\(index)")
          } else {
            let ended = try await fixture.hostLocal("ADD", "c\(index)")
            #expect(ended.exitStatus == 0, "\(ended)")
          }
        }
      }
      try await group.waitForAll()
    }
    await #expect(throws: AllocationError.self) { try await fixture.acquire("x") }
    let ended = try await fixture.hostLocal("ADD", "x")
    #expect(ended.output.contains("no IP addresses available in range set"))
  }
}

private var isHostLocalInstalled: Bool {
  access(DiskFixture.hostLocal, X_OK) == 0
    || !maySkip("\(DiskFixture.hostLocal) is not installed")
}
