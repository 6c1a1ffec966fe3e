internal import Glibc
import TestSupport
import Testing

/// Where output goes that cannot be taken for granted.
@Suite(.needsConsul) struct OutputTests {
  /// Runs ipamctl with a shell's redirections.
  private func shell(_ bench: Bench, _ words: String, _ redirection: String) async throws
    -> Execution.Ended
  {
    let script = """
      "$0" \(words) --consul "$1" --consul-prefix "$2" \(redirection)
      """
    return try await Execution([
      "/bin/sh", "-c", script, program("ipamctl", "CNI_IPAM_CTL"), bench.consul.address,
      bench.prefix,
    ]).run()
  }

  @Test func aFullDiskAndAClosedStreamAreErrors() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    for words in ["network show net", "lease list net", "lease list net --output json", "map net"] {
      let full = try await shell(bench, words, ">/dev/full")
      #expect(full.exitStatus == 4 && full.errorOutput.contains("No space left"), "\(full)")
      let closed = try await shell(bench, words, ">&-")
      #expect(closed.exitStatus == 4 && closed.errorOutput.contains("standard output"), "\(closed)")
      // A reader that has seen enough is no error.
      let ended = try await shell(bench, words, "| true")
      #expect(ended.exitStatus == 0 && ended.errorOutput.isEmpty, "\(ended)")
    }
    let closed = try await shell(bench, "network create other --subnet 10.2.0.0/24", "<&- >&- 2>&-")
    #expect(closed.exitStatus == 4 && closed.output.isEmpty, "\(closed)")
    try await bench.succeeds("check", "other")
  }

  /// A device, a pipe or a link is written to and stays what it is.
  @Test func onlyPlainFilesAreReplaced() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    let folder = bench.folder.path
    symlink("/dev/full", folder + "/device")
    symlink(folder + "/file", folder + "/link")
    symlink("/dev/stdout", folder + "/stdout")
    try writeFile(folder + "/file", "old")
    for (words, beginning) in [
      (["export", "net", "--file"], "{\"header\""), (["metrics", "--write"], "# HELP"),
      (["map", "net", "--svg"], "<?xml"), (["map", "net", "--png"], "\u{FFFD}PNG"),
    ] {
      let full = try await bench.ctl(words + [folder + "/device"])
      #expect(full.exitStatus == 4 && full.errorOutput.contains("No space left"), "\(full)")
      let printed = try await bench.ctl(words + [folder + "/stdout"])
      #expect(printed.exitStatus == 0 && printed.output.hasPrefix(beginning), "\(printed)")
      let dashed = try await bench.ctl(words + ["-"])
      #expect(dashed.exitStatus == 0 && dashed.output.hasPrefix(beginning), "\(dashed)")
      try await bench.succeeds(words + [folder + "/link"])
      let written = String(decoding: try readFile(folder + "/file"), as: UTF8.self)
      #expect(written.hasPrefix(beginning), "\(written.prefix(80))")
    }
    for name in ["device", "link", "stdout"] {
      var status = stat()
      #expect(lstat("\(folder)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
    }
    var status = stat()
    #expect(stat("/dev/full", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
    let left = try await ChildProcess.run(["ls", folder])
    #expect(!left.contains("draft"), "\(left)")
  }

  @Test(arguments: ["", ".", "..", "../net", "a/b"])
  func aNameThatIsNone(_ name: String) async throws {
    let bench = try await Bench()
    let created = try await bench.ctl("network", "create", name, "--subnet", "10.1.0.0/24")
    #expect(created.exitStatus == 2 && created.errorOutput.contains("name"), "\(created)")
    #expect(try bench.keys() == [])
    let folder = bench.folder.path + "/networks"
    for words in [["lease", "list"], ["check"], ["lease", "release", "--container", "c"]] {
      let ended = try await bench.ctl(words + [name, "--data-dir", folder])
      #expect(ended.exitStatus == 2 && ended.errorOutput.contains("name"), "\(ended)")
    }
    #expect(access(folder, F_OK) != 0)
  }

  /// A mistyped directory is not an empty one.
  @Test(arguments: [
    ["lease", "list"], ["lease", "release", "--container", "c"], ["export"], ["who", "10.1.0.2"],
    ["pool", "show", "--subnet", "10.1.0.0/24"], ["map", "--subnet", "10.1.0.0/24"], ["map"],
    ["watch", "--subnet", "10.1.0.0/24"], ["reclaim", "--live", "-"], ["check"],
  ])
  func aDirectoryThatIsNotThere(_ words: [String]) async throws {
    let folder = try TemporaryFolder()
    let place = ["--data-dir", folder.path]
    let network = words[0] == "who" ? ["who", "net", words[1]] : words + ["net"]
    let ended = try await plainly(network + place, input: "# nothing lives\n")
    #expect(ended.exitStatus == 1, "\(ended)")
    #expect(ended.errorOutput.contains("there is no directory \(folder.path)/net"), "\(ended)")
    #expect(access(folder.path + "/net", F_OK) != 0)
  }

  /// A folder that may be read and not written to, where nobody has made the lock file yet.
  @Test func aDirectoryWithoutALock() async throws {
    let folder = try TemporaryFolder()
    let network = folder.path + "/net"
    try await ChildProcess.run(["mkdir", network])
    try writeFile(network + "/10.1.0.2", "c1\r\neth0")
    try await ChildProcess.run(["chmod", "555", network])
    // Root may write everywhere, unless it gives that up.
    let fewer = ["--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
    let asOthers = geteuid() == 0 ? ["/usr/bin/setpriv"] + fewer : []
    let ended = try await Execution(
      asOthers + [program("ipamctl", "CNI_IPAM_CTL"), "lease", "list", "net", "--data-dir"]
        + [folder.path]
    ).run()
    try await ChildProcess.run(["chmod", "755", network])
    #expect(ended.exitStatus == 4 && ended.errorOutput.contains("permission denied"), "\(ended)")
  }

  @Test func aNetworkThatIsNotThere() async throws {
    let bench = try await Bench()
    let listed = try await bench.ctl("lease", "list", "other")
    #expect(listed.exitStatus == 1 && listed.errorOutput.contains("not defined"), "\(listed)")
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(try await bench.succeeds("lease", "list", "net", "--output", "json") == "[]\n")
    let unnamed = try await bench.ctl("lease", "acquire", "net", "--container", "", "--node", "n")
    #expect(unnamed.exitStatus == 2, "\(unnamed)")
    try await bench.succeeds("check", "net")
  }
}
