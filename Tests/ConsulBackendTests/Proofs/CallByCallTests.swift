// The plugin is killed, or its disk fails, at each of its calls of the system that touch the node's own
// files. Whatever it leaves, the commands that come then go on, nothing is leaked and nothing given twice.

import AddressSpace
import IPAM
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized, .enabled(if: PluginCall.isAvailable)) struct CallByCallTests {
    private static let server = Task { try await ConsulServer.start() }

    enum Harm: String, CaseIterable, Sendable {
      case killed = "signal=SIGKILL"
      case full = "error=ENOSPC"
    }

    enum Victim: String, CaseIterable, Sendable { case firstADD, laterADD, lastDEL }

    /// Where a call fails: its name, and which one of its thread it is.
    private struct Place: Hashable {
      let call: String
      let number: Int
    }

    /// By their names on all processors; those that one does not have are passed by.
    private static let calls = [
      "openat", "write", "pwrite64", "ftruncate", "flock", "rename", "renameat", "renameat2",
      "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat",
    ]

    /// A node with a network of its own, as the victim finds it.
    private struct Scene {
      let network: TestNetwork
      let folder: TemporaryFolder
      let call: PluginCall
      let victim: Victim

      init(_ victim: Victim, _ server: ConsulServer) async throws {
        network = try TestNetwork(["10.1.0.0/28"], journal: 4)
        folder = try TemporaryFolder()
        call = PluginCall(
          network: network, port: server.port, stateDirectory: folder.path + "/state")
        self.victim = victim
        for container in before { try await succeed("ADD", container) }
      }

      private var before: [String] {
        switch victim {
        case .firstADD: []
        case .laterADD: ["before"]
        case .lastDEL: ["before", "x"]
        }
      }

      @discardableResult
      func succeed(_ command: String, _ container: String) async throws -> String {
        let ended = try await call.run(command, container)
        guard ended.exitStatus == 0 else {
          throw TestSupportError("\(command) \(container): \(ended)")
        }
        return ended.output
      }

      func run(_ options: [String]) async throws -> Execution.Ended {
        try await call.run(
          victim == .lastDEL ? "DEL" : "ADD", "x",
          by: ["/usr/bin/strace", "-f", "-y", "-o", folder.path + "/trace"] + options)
      }

      /// What was watched.
      var trace: String {
        get throws { String(decoding: try readFile(folder.path + "/trace"), as: UTF8.self) }
      }

      /// What a runtime does then, and what has to be left.
      func goOn(_ ended: Execution.Ended, on server: ConsulServer) async throws {
        try await succeed("ADD", "after")
        if victim != .lastDEL {
          let again = try await succeed("ADD", "x")
          if ended.exitStatus == 0 { #expect(again == ended.output) }
        }
        try await succeed("DEL", "x")
        let left = try await network.attachments(on: server).map(\.container)
        #expect(left.sorted() == (before.filter { $0 != "x" } + ["after"]).sorted())
        try await network.expectSound(on: server)
      }
    }

    /// The calls of a run that nothing happens to; nil where none can be watched.
    private func places(_ victim: Victim, _ server: ConsulServer) async throws -> Set<Place>? {
      let scene = try await Scene(victim, server)
      let names = Self.calls.map { "?" + $0 }.joined(separator: ",")
      let ended = try await scene.run(["-e", "trace=" + names])
      guard ended.exitStatus == 0 else {
        print("skipped: strace does not work here: \(ended)")
        return nil
      }
      var counts: [String: Int] = [:]
      var places: Set<Place> = []
      for line in try scene.trace.split(separator: "\n") {
        let words = line.split(separator: " ", maxSplits: 1)
        guard words.count == 2, let end = words[1].firstIndex(of: "(") else { continue }
        let call = String(words[1][..<end].drop { $0 == " " })
        counts["\(words[0]) \(call)", default: 0] += 1
        guard line.contains(scene.folder.path) else { continue }
        places.insert(Place(call: call, number: counts["\(words[0]) \(call)"] ?? 0))
      }
      return places
    }

    @Test(arguments: Harm.allCases, Victim.allCases)
    func everyCall(_ harm: Harm, _ victim: Victim) async throws {
      let server = try await Self.server.value
      guard let places = try await places(victim, server) else { return }
      var hits = 0
      for place in places {
        let scene = try await Scene(victim, server)
        let injection = "inject=\(place.call):\(harm.rawValue):when=\(place.number)"
        let ended = try await scene.run(["-e", "trace=" + place.call, "-e", injection])
        let sign = harm == .killed ? "killed by SIGKILL" : "(INJECTED)"
        if try scene.trace.contains(sign) { hits += 1 }
        do {
          try await scene.goOn(ended, on: server)
        } catch {
          Issue.record("\(place), \(ended): \(error)")
        }
      }
      // A thread that does a little more or less is no trouble; an oracle that sees nothing is.
      #expect(places.count > 15 && hits * 4 > places.count * 3, "\(hits) of \(places.count)")
    }
  }
}
