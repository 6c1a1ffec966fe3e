internal import Glibc
import JSON
import TestSupport
import Testing

// Commands × places × formats. Which commands there are, and what they take, the program says itself:
//
//   Golden/<command>.table, .json              what it prints of Consul
//   Golden/<command>-disk.table, .json         and of a directory, if it takes --data-dir
//   Golden/<command>-dry-run….table, .json     and of what it would do, if it takes --dry-run

@Suite struct GoldenMatrixTests {
  private struct Leaf {
    let name: String
    let options: Set<String>
  }

  @Test func everyCommandHasItsFiles() async throws {
    let help = try await Execution(
      [program("ipamctl", "CNI_IPAM_CTL"), "--experimental-dump-help"]
    ).run()
    let root = try #require(try help.json["command"])
    let commands = leaves(of: root, "")
    #expect(commands.count >= 23, "\(commands)")
    let files = try names(in: "Tests/IpamctlTests/Golden")
    let stems = Set(files.map { String($0.prefix { $0 != "." }) })
    var missing: [String] = []
    for command in commands {
      var wanted = [command.name]
      if command.options.contains("data-dir") { wanted.append(command.name + "-disk") }
      for stem in wanted where command.options.contains("output") {
        missing += Bench.formats.map { "\(stem).\($0)" }.filter { !files.contains($0) }
      }
      missing += wanted.filter { !stems.contains($0) }
      guard command.options.contains("dry-run") else { continue }
      let rehearsal = command.name + "-dry-run"
      missing += Bench.formats.map { ".\($0)" }
        .filter { end in !files.contains { $0.hasPrefix(rehearsal) && $0.hasSuffix(end) } }
        .map { rehearsal + $0 }
    }
    #expect(missing == [])
  }

  private func leaves(of command: JSONValue, _ prefix: String) -> [Leaf] {
    let below = (command["subcommands"]?.elements ?? [])
      .filter { $0["commandName"]?.string != "help" }
    if below.isEmpty {
      let options = (command["arguments"]?.elements ?? [])
        .flatMap { $0["names"]?.elements ?? [] }.compactMap { $0["name"]?.string }
      return [Leaf(name: prefix, options: Set(options))]
    }
    return below.flatMap { next in
      let word = next["commandName"]?.string ?? "?"
      return leaves(of: next, prefix.isEmpty ? word : "\(prefix)-\(word)")
    }
  }

  private func names(in folder: String) throws -> Set<String> {
    guard let stream = opendir(try repositoryPath(folder)) else {
      throw TestSupportError("no \(folder)", errno)
    }
    defer { closedir(stream) }
    var names: Set<String> = []
    while let entry = readdir(stream) {
      names.insert(
        withUnsafePointer(to: &entry.pointee.d_name) {
          String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
        })
    }
    return names
  }
}
