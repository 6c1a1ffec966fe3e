// Every command that an error names is typed as it stands there, by a shell that knows nothing else, and
// does what the error says.

import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct RemedyTests {
  /// The command in the details of an error, up to what follows it.
  private func command(in ended: Execution.Ended, until end: String = "") throws -> String {
    let error = try ended.json
    let texts = [error["details"]?.string, error["msg"]?.string, ended.errorOutput]
    let text = try #require(texts.compactMap { $0 }.first { $0.contains("ipamctl ") }, "\(ended)")
    let start = text.firstRange(of: "ipamctl ")?.lowerBound ?? text.startIndex
    let rest = text[start...]
    let stop = end.isEmpty ? nil : rest.firstRange(of: end)?.lowerBound
    return String(rest[..<(stop ?? rest.endIndex)])
  }

  /// Types a command, on a machine where nothing is known of any Consul.
  private func type(_ command: String) async throws -> Execution.Ended {
    let path = program("ipamctl", "CNI_IPAM_CTL")
    let folder = path.split(separator: "/").dropLast().joined(separator: "/")
    var execution = Execution(["/bin/sh", "-c", command])
    execution.environment = ["PATH": "/\(folder):/usr/bin:/bin"]
    return try await execution.run()
  }

  @Test func whoHoldsAnExhaustedPool() async throws {
    let bench = try await Bench()
    let subnet = #""subnet": "10.1.0.0/29", "dc": "dc1""#
    for number in 1...5 {
      #expect(try await bench.plugin("ADD", "net", "c\(number)", subnet).exitStatus == 0)
    }
    let full = try await bench.plugin("ADD", "net", "c6", subnet)
    let listed = try await type(command(in: full, until: " shows who holds them"))
    #expect(listed.exitStatus == 0, "\(full) \(listed)")
    for number in 1...5 { #expect(listed.output.contains(" c\(number) "), "\(listed)") }
  }

  @Test func whoHoldsAnExhaustedDirectory() async throws {
    let bench = try await Bench()
    let folder = bench.folder.path + "/the networks"
    let disk = #""backend": "disk", "dataDir": "\#(folder)", "subnet": "10.1.0.0/30""#
    #expect(try await bench.plugin("ADD", "net", "c1", disk).exitStatus == 0)
    let full = try await bench.plugin("ADD", "net", "c2", disk)
    let listed = try await type(command(in: full, until: " shows who holds them"))
    #expect(listed.exitStatus == 0 && listed.output.contains(" c1 "), "\(full) \(listed)")
  }

  /// The folder of this node's copies is not the usual one, and the datacenter is part of its name.
  @Test(arguments: ["", #""dc": "dc1""#])
  func aRestoredSnapshot(_ ipam: String) async throws {
    let consul = try await ConsulServer.start()
    let bench = try await Bench(consul)
    try await bench.succeeds("network", "create", "net", "--subnet", "10.1.0.0/24")
    #expect(try await bench.plugin("ADD", "net", "c1", ipam).exitStatus == 0)
    let snapshot = bench.folder.path + "/snapshot"
    let binary = try await ConsulBinary.path()
    try await ChildProcess.run(
      [binary, "snapshot", "save", "-http-addr=\(consul.address)", snapshot])
    #expect(try await bench.plugin("ADD", "net", "c2", ipam).exitStatus == 0)
    try await ChildProcess.run(
      [binary, "snapshot", "restore", "-http-addr=\(consul.address)", snapshot])
    try await consul.ready()
    let refused = try await bench.plugin("ADD", "net", "c3", ipam)
    let mended = try await type(command(in: refused))
    #expect(mended.exitStatus == 0 && mended.output.contains("incarnation"), "\(refused) \(mended)")
    #expect(try await bench.plugin("ADD", "net", "c3", ipam).exitStatus == 0)
  }

  @Test func aDamagedChunk() async throws {
    let bench = try await Bench()
    let subnet = #""subnet": "10.1.0.0/24""#
    #expect(try await bench.plugin("ADD", "net", "c1", subnet).exitStatus == 0)
    let chunk = try #require(try bench.keys().first { $0.contains("/pools/") })
    try bench.put(bench.key(chunk), "garbage")
    let refused = try await bench.plugin("ADD", "net", "c2", subnet)
    let mended = try await type(command(in: refused))
    #expect(mended.exitStatus == 0, "\(refused) \(mended)")
    #expect(try await bench.plugin("ADD", "net", "c2", subnet).exitStatus == 0)
  }

  /// There are other chunks to allocate from, so the ADD succeeds and warns.
  @Test func aDamagedChunkAmongOthers() async throws {
    let bench = try await Bench()
    let subnet = #""subnet": "10.1.0.0/22""#
    #expect(try await bench.plugin("ADD", "net", "c1", subnet).exitStatus == 0)
    let chunk = try #require(try bench.keys().first { $0.contains("/pools/") })
    try bench.put(bench.key(chunk), "garbage")
    let warned = try await bench.plugin("ADD", "net", "c2", subnet)
    #expect(warned.exitStatus == 0 && warned.errorOutput.contains("is damaged"), "\(warned)")
    let mended = try await type(command(in: warned, until: "\""))
    #expect(mended.exitStatus == 0, "\(warned) \(mended)")
    let quiet = try await bench.plugin("ADD", "net", "c3", subnet)
    #expect(quiet.exitStatus == 0 && quiet.errorOutput == "", "\(quiet)")
  }

  @Test func aNetworkThatNobodyDefined() async throws {
    let bench = try await Bench()
    let file = bench.folder.path + "/definition.json"
    try writeFile(file, #"{"ranges": [[{"subnet": "10.1.0.0/24"}]]}"#)
    let refused = try await bench.plugin("ADD", "net", "c1")
    let created = try await type(command(in: refused).replacing("FILE", with: file))
    #expect(created.exitStatus == 0, "\(refused) \(created)")
    #expect(try await bench.plugin("ADD", "net", "c1").exitStatus == 0)
  }

  @Test func dataOfTheAncestor() async throws {
    let bench = try await Bench(try await ConsulServer.start())
    try bench.put("/v1/kv/old", #"{"net":"10.1.0.0/24"}"#)
    try bench.put("/v1/kv/old/10.1.0.2", #"{"ip":"10.1.0.2","mac":"","id":"c1"}"#)
    let subnet = #""subnet": "10.1.0.0/24""#
    let refused = try await bench.plugin("ADD", "old", "new", subnet)
    let state = " --state-dir \(bench.folder.path)"
    let imported = try await type(command(in: refused) + state)
    #expect(imported.output.contains("1 address imported"), "\(refused) \(imported)")
    #expect(try await bench.plugin("ADD", "old", "new", subnet).exitStatus == 0)
  }
}
