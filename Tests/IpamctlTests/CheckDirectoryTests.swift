internal import Glibc
import JSON
import TestSupport
import Testing

/// `ipamctl check` on a directory of host-local's format.
@Suite struct CheckDirectoryTests {
  @Test func whatItPrints() async throws {
    let place = try Place()
    for container in ["c1", "c2"] {
      #expect(try await place.ours("ADD", container).exitStatus == 0)
    }
    let subnets = ["--subnet", "10.1.0.0/24", "--subnet", "2001:db8::/64"]
    #expect(try await place.ctl(["check", "net"] + subnets).output.hasSuffix("nothing is wrong\n"))
    try place.write("10.1.0.9", "")
    try place.write("10.1.0.10", "\u{0}")
    try place.write("10.9.0.2", "far\r\neth0")
    try place.write("10.1.0.11", "c1\r\neth0")
    try place.write("10.1.0.02", "c1\r\neth0")
    try place.write(".cni-ipam-consul.10.1.0.12", "c3\r\neth0")
    try place.write("last_reserved_ip.0", "nonsense")
    try place.write("lock", "nonsense")
    let words = ["check", "net"] + subnets
    for option in [[], ["--repair", "--dry-run"]] {
      for format in ["table", "json"] {
        let found = try await place.ctl(words + option + ["--output", format])
        #expect(found.exitStatus == 1)
        try place.expectGolden("check-disk.\(format)", found.output)
      }
    }
    let repaired = try await place.ctl(words + ["--repair"])
    #expect(repaired.exitStatus == 1)
    try place.expectGolden("check-disk-repaired.table", repaired.output)
    #expect(try await place.ctl(words + ["--repair", "--restored"]).exitStatus == 2)
    #expect(try await place.ctl(["check", "other"]).exitStatus == 1)
  }

  @Test func aLockThatIsNoFile() async throws {
    let place = try Place()
    #expect(try await place.ours("ADD", "c1").exitStatus == 0)
    unlink("\(place.directory)/lock")
    mkdir("\(place.directory)/lock", 0o755)
    let found = try await place.ctl(["check", "net", "--repair"])
    #expect(found.exitStatus == 4 && found.errorOutput.contains("remove what stands there"))
  }

  /// Containers come and go by our plugin and by the distribution's host-local while files of every
  /// kind are spoilt and repairs are killed: nobody who lives loses an address, none is had twice.
  @Test(.enabled(if: isHostLocalInstalled)) func everyKindOfFileUnderLoad() async throws {
    let place = try Place()
    #expect(try await place.ours("ADD", "first").exitStatus == 0)
    let held = try await withThrowingTaskGroup(of: [String: [String]].self) { group in
      for worker in 0..<4 {
        group.addTask {
          var held: [String: [String]] = [:]
          for round in 0..<20 {
            let name = "w\(worker)-\(round)"
            let isOurs = (worker + round) % 2 == 0
            let added =
              try await isOurs ? place.ours("ADD", name) : place.theirs("ADD", name)
            #expect(added.exitStatus == 0, "\(added)")
            held[name] = try added.json["ips"]?.elements?.compactMap { $0["address"]?.string }
            guard round % 3 == 0 else { continue }
            let gone =
              try await isOurs ? place.theirs("DEL", name) : place.ours("DEL", name)
            #expect(gone.exitStatus == 0, "\(gone)")
            held[name] = nil
          }
          return held
        }
      }
      group.addTask {
        for round in 0..<24 {
          try place.spoil(round)
          var repair = place.execution(["check", "net", "--repair"])
          if round % 3 == 0 { repair.killedAfter = UInt32.random(in: 1_000...40_000) }
          let ended = try await repair.run()
          #expect(ended.signal != nil || ended.exitStatus == 0, "\(ended)")
        }
        return [:]
      }
      return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
    }
    try await place.succeeds("check", "net", "--repair")
    try await place.succeeds(
      "check", "net", "--subnet", "10.1.0.0/24", "--subnet", "2001:db8::/64")
    #expect(held.count == 52)
    let addresses = held.values.flatMap { $0 }
    #expect(addresses.count == 104 && Set(addresses).count == 104)
    for (name, addresses) in held {
      for address in addresses {
        let file = address.split(separator: "/")[0]
        let content = try readFile("\(place.directory)/\(file)")
        #expect(String(decoding: content, as: UTF8.self) == "\(name)\r\neth0")
      }
    }
    for name in held.keys.prefix(8) {
      #expect(try await place.ours("CHECK", name).exitStatus == 0)
      #expect(try await place.theirs("CHECK", name).exitStatus == 0)
    }
  }
}

private let hostLocal = "/usr/lib/cni/host-local"

private var isHostLocalInstalled: Bool {
  access(hostLocal, X_OK) == 0 || environmentVariable("CI") != nil
}

/// A data directory, a state directory, and the programs that work on them.
private struct Place {
  let folder: TemporaryFolder
  private var dataDirectory: String { folder.path + "/networks" }
  private var stateDirectory: String { folder.path + "/state" }
  var directory: String { dataDirectory + "/net" }

  init() throws { folder = try TemporaryFolder() }

  func execution(_ words: [String]) -> Execution {
    Execution(
      [program("ipamctl", "CNI_IPAM_CTL")] + words
        + ["--data-dir", dataDirectory, "--state-dir", stateDirectory, "--timeout", "60"])
  }

  func ctl(_ words: [String]) async throws -> Execution.Ended {
    try await execution(words).run()
  }

  func succeeds(_ words: String...) async throws {
    let ended = try await ctl(words)
    #expect(ended.exitStatus == 0, "\(words): \(ended)")
  }

  func ours(_ command: String, _ container: String) async throws -> Execution.Ended {
    try await call(program("cni-ipam-consul", "CNI_IPAM_PLUGIN"), command, container)
  }

  func theirs(_ command: String, _ container: String) async throws -> Execution.Ended {
    try await call(hostLocal, command, container)
  }

  private func call(
    _ program: String, _ command: String, _ container: String
  ) async throws -> Execution.Ended {
    var execution = Execution([program])
    execution.environment = [
      "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_IFNAME": "eth0",
      "CNI_NETNS": "/run/netns/test", "CNI_PATH": "/opt/cni/bin",
    ]
    execution.input = .text(
      #"{"cniVersion": "1.0.0", "name": "net", "prevResult": {"cniVersion": "1.0.0"}, "#
        + #""ipam": {"type": "host-local", "dataDir": "\#(dataDirectory)", "#
        + #""stateDir": "\#(stateDirectory)", "#
        + #""ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "2001:db8::/64"}]]}}"#)
    return try await execution.run()
  }

  func write(_ name: String, _ content: String) throws {
    try writeFile("\(directory)/\(name)", content)
  }

  /// Spoils one file, of another kind each time, as crashes and clumsy hands do.
  func spoil(_ round: Int) throws {
    switch round % 6 {
    case 0: try write("10.1.0.\(254 - round)", "")
    case 1: try write(".cni-ipam-consul.10.1.0.\(round)", "dead\r\neth0")
    case 2: try write("last_reserved_ip.\(round / 6 % 2)", "nonsense")
    case 3: try spoilIndex { path in try writeFile(path, "no index at all") }
    case 4: try spoilIndex { path in try writeFile("\(path).1", "half an index") }
    default:
      try writeFile(stateDirectory + "/journal/net,1", "torn\nlines\n")
    }
  }

  /// Under the directory's lock, as a process of ours that dies in the middle.
  private func spoilIndex(_ body: (String) throws -> Void) throws {
    let lock = open("\(directory)/lock", O_RDWR | O_CLOEXEC)
    guard lock >= 0, flock(lock, LOCK_EX) == 0 else { throw TestSupportError("no lock", errno) }
    defer { close(lock) }
    guard let stream = opendir(stateDirectory + "/index") else { return }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
      }
      if !name.hasPrefix("."), !name.contains(".") {
        return try body("\(stateDirectory)/index/\(name)")
      }
    }
  }

  /// Holds a text against a golden file, as ``Bench/expectGolden(_:_:replacing:sourceLocation:)``.
  func expectGolden(
    _ name: String, _ text: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    // Columns are as wide as the folder's name, which no two runs have in common.
    var text = text.replacing(folder.path, with: "FOLDER")
    if name.hasSuffix(".table") { text.replace(/[ ]{3,}/, with: "  ") }
    let path = "Tests/IpamctlTests/Golden/\(name)"
    if environmentVariable("CNI_IPAM_GOLDEN") == "write" {
      return try writeRepositoryFile(path, text)
    }
    let expected = String(decoding: try readRepositoryFile(path), as: UTF8.self)
    #expect(text == expected, sourceLocation: sourceLocation)
  }
}
