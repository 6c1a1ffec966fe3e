import AddressSpace
import ArgumentParser
import Glibc
import IPAM
import JSON

struct WatchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch",
    abstract: "Shows again and again how full the pools of a network are, and what goes on.",
    discussion: """
      A line for each pool and reading; on a terminal the lines are written over. What changed is \
      counted since the reading before: in each pool the writes of its chunks in Consul, and in the \
      whole network the commits of ADDs, DELs and the like and how many more lost a race \
      (conflicts), as the nodes count them in the journals of a network whose definition has one. \
      With --output json a reading is an object on a line. Ends after --count readings, or by \
      SIGINT or SIGTERM.
      """)
  @Argument(help: "The network.") var network: String
  @Option(help: "Seconds to the next reading; more where a reading takes over a tenth of that.")
  var interval: UInt64 = 2
  @Option(help: "How many readings; without end if not given.") var count: Int?
  @OptionGroup var source: DefinitionOptions
  @OptionGroup var place: StoreOptions
  @OptionGroup var format: OutputOptions

  func validate() throws {
    guard (1...86_400).contains(interval) else {
      throw ValidationError("--interval: 1 to 86400 seconds")
    }
    guard (count ?? 1) > 0 else { throw ValidationError("--count: 1 at least") }
    guard place.dataDir == nil || !source.isEmpty else {
      throw ValidationError("--data-dir needs --subnet or --file")
    }
  }

  func run() async throws {
    // The first reading says whether it can be done at all; later ones may fail for a while.
    let first = try await read()
    show(first, since: nil)
    let (interval, count) = (interval * 1_000_000_000, count ?? .max)
    await untilSignal {
      var last = first
      var left = count - 1
      while left > 0 {
        await ConsulOptions.surroundings.sleep(max(interval, last.cost &* 9))
        if Task.isCancelled { return }
        left -= 1
        do {
          let now = try await read()
          show(now, since: last)
          last = now
        } catch {
          Terminal.say("\(error)")
        }
      }
    }
  }

  /// A reading by the definition, the token and the certificates that there are now.
  private func read() async throws(Failure) -> WatchReading {
    let (store, known) = try await place.store(network, source)
    guard let definition = known else { throw Failure(.no, "no network \(network)") }
    return try await WatchReading.take(store, definition, place.consul.deadline)
  }

  private func show(_ reading: WatchReading, since last: WatchReading?) {
    let change = last.map { reading.changes(since: $0) }
    guard format.output == .table else {
      return Terminal.print(reading.document(network, change).compact)
    }
    let head = [
      "TIME", "POOL", "USED", "COOLING", "FREE", "CHANGE", "WRITES", "COMMITS", "CONFLICTS",
    ]
    let rows = reading.rows(change)
    if isatty(STDOUT_FILENO) == 1 {
      // To the upper left corner, and nothing below.
      Terminal.print("\u{1B}[H\u{1B}[J" + Table(head, rows).text)
    } else {
      if last == nil { Terminal.print(head.joined(separator: "\t")) }
      for row in rows { Terminal.print(row.joined(separator: "\t")) }
    }
  }
}
