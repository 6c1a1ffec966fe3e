import ArgumentParser
import ConsulBackend
import IPAM

extension NetworkCommand {
  struct Trim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Removes old entries of a network's journal in Consul.",
      discussion: """
        A node overwrites its own oldest entries; those of nodes that are gone, or that a definition \
        with a smaller journal left behind, stay until this is run.
        """)
    @Argument(help: "The network.") var name: String
    @Option(help: "Entries whose events are all older than this many seconds.")
    var olderThan: UInt64
    @Flag(help: "Only say how many would be removed.") var dryRun = false
    @OptionGroup var consul: ConsulOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
      let store = try consul.store(name)
      let deadline = consul.deadline
      _ = try await definition(of: store, name, deadline)
      let now = ConsulOptions.surroundings.now()
      let time = now - min(now, olderThan)
      let count = try await asking { () async throws(StoreError) in
        try await store.trimJournals(olderThan: time, dryRun: dryRun, deadline: deadline)
      }
      format.confirmRemoval(
        of: count, count.counted("entry", "entries") + " of the journal", network: name,
        dryRun: dryRun)
    }
  }
}
