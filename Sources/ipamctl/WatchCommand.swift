import AddressSpace
import ArgumentParser
import Glibc
import IPAM

struct WatchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch", abstract: "Shows again and again how full the pools of a network are.",
    discussion: """
      A line for each pool and reading; on a terminal the lines are written over. The change is that \
      since the reading before. Ends after --count readings, or by SIGINT or SIGTERM.
      """)
  @Argument(help: "The network.") var network: String
  @Option(help: "Seconds from one reading to the next.") var interval: UInt64 = 2
  @Option(help: "How many readings; without end if not given.") var count: Int?
  @OptionGroup var source: DefinitionOptions
  @OptionGroup var place: StoreOptions

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
    let (store, known) = try await place.store(network, source)
    guard let definition = known else { throw Failure(.no, "no network \(network)") }
    // The first reading says whether it can be done at all; later ones may fail for a while.
    let first = try await PoolReading.take(store, definition, place.consul.deadline)
    show(first, since: nil)
    let (interval, count) = (interval, count ?? .max)
    await untilSignal {
      var last = first
      var left = count - 1
      while left > 0 {
        await ConsulOptions.surroundings.sleep(interval * 1_000_000_000)
        if Task.isCancelled { return }
        left -= 1
        do {
          let now = try await PoolReading.take(store, definition, place.consul.deadline)
          show(now, since: last)
          last = now
        } catch {
          Terminal.say("\(error)")
        }
      }
    }
  }

  private func show(_ reading: PoolReading, since last: PoolReading?) {
    let growth =
      last.map {
        UseReading($0.pools, at: $0.time).growth(to: UseReading(reading.pools, at: reading.time))
      } ?? [:]
    let rows = reading.pools.map { pool in
      let change = growth[pool.name]
      return [
        utc(reading.time), pool.name, pool.used.description, pool.cooling.description,
        pool.free.description, change.map { "+\($0.more) -\($0.less) in \($0.seconds) s" } ?? "-",
      ]
    }
    let head = ["TIME", "POOL", "USED", "COOLING", "FREE", "CHANGE"]
    if isatty(STDOUT_FILENO) == 1 {
      // To the upper left corner, and nothing below.
      Terminal.print("\u{1B}[H\u{1B}[J" + Table(head, rows).text)
    } else {
      if last == nil { Terminal.print(head.joined(separator: "\t")) }
      for row in rows { Terminal.print(row.joined(separator: "\t")) }
    }
  }
}
