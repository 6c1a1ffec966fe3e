// The log: lines that programs can read, to standard error and a file, and nothing in them that must
// not be there.

import TestSupport
import Testing

@Suite(.needsConsul)
struct LogTests {
  private func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

  @Test(arguments: StoreKind.allCases)
  func oneLineForACommand(_ kind: StoreKind) async throws {
    let network = try await TestNetwork(kind)
    let folder = try TemporaryFolder()
    let file = folder.path + "/log"
    let configuration = network.configuration([
      "subnet": "10.7.0.0/29", "logLevel": "info", "logFile": .string(file), "logFormat": "json",
      "token": "a-secret-of-the-tests",
    ])
    let added = try await Call("ADD", configuration).run()
    #expect(added.ended.exitStatus == 0, "\(added)")
    let line = try JSON(parsing: try #require(lines(added.ended.errorOutput).last))
    #expect(line["level"] == "info" && line["command"] == "ADD" && line["msg"] == "acquired")
    #expect(line["addresses"] == "10.7.0.2")
    #expect(try await Call("DEL", configuration).run().ended.exitStatus == 0)
    let refused = try await Call(
      "ADD", configuration, container: "c2", arguments: "IP=10.9.9.9"
    ).run()
    #expect(refused.code == 7)
    let logged = lines(String(decoding: try readFile(file), as: UTF8.self))
    #expect(logged.count == 3, "\(logged)")
    let failure = try JSON(parsing: try #require(logged.last))
    #expect(failure["level"] == "error" && failure["code"] == "7" && failure["container"] == "c2")
    #expect(!logged.joined().contains("a-secret-of-the-tests"))
    #expect(!added.ended.errorOutput.contains("a-secret-of-the-tests"))
  }

  /// At debug level a command says what it cost: a warm ADD on Consul is one request, the commit.
  @Test func whatACommandCosts() async throws {
    let network = try await TestNetwork(.consul)
    let configuration = network.configuration(["subnet": "10.7.0.0/24", "logLevel": "debug"])
    for (container, roundTrips) in [("c1", nil), ("c2", "1")] {
      let added = try await Call("ADD", configuration, container: container).succeeds()
      let cost = lines(added.ended.errorOutput).filter { $0.contains(" msg=cost") }
      #expect(cost.count == 1 && cost[0].contains(" level=debug "), "\(added)")
      #expect(cost[0].contains(roundTrips == nil ? " commits=2 " : " commits=1 "), "\(cost)")
      if let roundTrips { #expect(cost[0].contains(" roundTrips=\(roundTrips) "), "\(cost)") }
    }
    let quiet = network.configuration(["subnet": "10.7.0.0/24", "logLevel": "info"])
    let added = try await Call("ADD", quiet, container: "c3").succeeds()
    #expect(!added.ended.errorOutput.contains("msg=cost"), "\(added)")
  }

  /// On disk it is whole passes over the directory: one each where there are few files, and none any
  /// more where there is an index.
  @Test func whatACommandCostsOnDisk() async throws {
    let network = try await TestNetwork(.disk)
    let configuration = network.configuration(["subnet": "10.7.0.0/24", "logLevel": "debug"])
    for number in 1...20 {
      let added = try await Call("ADD", configuration, container: "c\(number)").succeeds()
      let cost = lines(added.ended.errorOutput).filter { $0.contains(" msg=cost") }
      #expect(cost.count == 1 && cost[0].contains(" commits=1 conflicts=0 "), "\(added)")
      if number == 2 { #expect(cost[0].contains(" listings=1 "), "\(cost)") }
      if number > 14 { #expect(cost[0].contains(" listings=0 "), "\(cost)") }
    }
  }

  /// Without a word in the configuration, success and failure leave standard error empty.
  @Test func quietByDefault() async throws {
    let network = try await TestNetwork(.disk)
    let configuration = network.configuration(["subnet": "10.7.0.0/29"])
    let added = try await Call("ADD", configuration).run()
    let refused = try await Call("ADD", configuration).run()
    #expect(added.ended.errorOutput.isEmpty && refused.ended.errorOutput.isEmpty)
  }

  @Test func aFileThatCannotBeWrittenFailsNothing() async throws {
    let network = try await TestNetwork(.disk)
    let configuration = network.configuration([
      "subnet": "10.7.0.0/29", "logLevel": "info", "logFile": "/nonexistent/log",
    ])
    let added = try await Call("ADD", configuration).run()
    #expect(added.ended.exitStatus == 0)
    let said = lines(added.ended.errorOutput)
    #expect(said.count { $0.contains("/nonexistent/log") } == 1, "\(said)")
    #expect(said.allSatisfy { $0.hasPrefix("time=") && $0.contains(" command=ADD ") }, "\(said)")
  }

  @Test func impossibleSettings() async throws {
    let network = try await TestNetwork(.disk)
    for (key, value) in [("logLevel", "loud"), ("logFormat", "xml")] {
      let configuration = network.configuration([
        "subnet": "10.7.0.0/29", key: .string(value),
      ])
      Refusal(7, words: [key, value]).expect(try await Call("ADD", configuration).run())
    }
  }

  /// Many processes, whole lines.
  @Test func linesOfManyProcessesDoNotMix() async throws {
    let network = try await TestNetwork(.disk)
    let file = network.folder.path + "/log"
    let configuration = network.configuration([
      "subnet": "10.7.0.0/24", "logLevel": "info", "logFormat": "json", "logFile": .string(file),
    ])
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<30 {
        group.addTask {
          try await Call("ADD", configuration, container: "c\(number)").succeeds()
        }
      }
      try await group.waitForAll()
    }
    let records = try lines(String(decoding: try readFile(file), as: UTF8.self)).map {
      try JSON(parsing: $0)
    }
    #expect(Set(records.compactMap { $0["container"]?.string }).count == 30)
  }
}
