import AddressSpace
import ArgumentParser
import BitmapAllocator
import ConsulBackend
import IPAM
import JSON

struct PoolCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pool", abstract: "Shows how full the pools of a network are.",
    subcommands: [Show.self])
}

extension PoolCommand {
  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Capacity, use, fragmentation and growth of each pool.",
      discussion: """
        All counts are exact. The growth needs two readings: by --interval in one run, or by \
        --state FILE, which keeps the reading of each run for the next. A pool is exhausted after \
        what is free divided by the growth. A directory does not say what it is cut into: with \
        --data-dir give --subnet or --file.
        """)
    @Argument(help: "The network.") var network: String
    @Option(help: "Read twice, so many seconds apart.") var interval: UInt64?
    @Option(help: "A file that keeps a reading from run to run.") var state: String?
    @OptionGroup var source: DefinitionOptions
    @OptionGroup var place: StoreOptions
    @OptionGroup var format: OutputOptions

    func validate() throws {
      guard interval == nil || state == nil else {
        throw ValidationError("--interval and --state are two ways to the same; give one")
      }
      guard interval.map({ (1...86_400).contains($0) }) ?? true else {
        throw ValidationError("--interval: 1 to 86400 seconds")
      }
      guard place.dataDir == nil || !source.isEmpty else {
        throw ValidationError("--data-dir needs --subnet or --file")
      }
    }

    func run() async throws {
      let (store, known) = try await place.store(network, source)
      guard let definition = known else { throw Failure(.usage, "no definition is known") }
      var earlier = try state.flatMap { try UseReading(file: $0, network: network) }
      if let interval {
        let first = try await PoolReading.take(store, definition, place.consul.deadline)
        earlier = UseReading(first.pools, at: first.time)
        await ConsulOptions.surroundings.sleep(interval * 1_000_000_000)
      }
      let reading = try await PoolReading.take(store, definition, place.consul.deadline)
      let growth = earlier.map { $0.growth(to: UseReading(reading.pools, at: reading.time)) } ?? [:]
      switch format.output {
      case .json: Terminal.print(reading.document(network, growth).indented)
      case .table: Terminal.print(reading.table(network, growth))
      }
      if let state { try UseReading(reading.pools, at: reading.time).write(state, network) }
      if reading.foreignChunks > 0 {
        Terminal.say("\(reading.foreignChunks.counted("chunk")) of none of these pools")
      }
      let damaged = reading.pools.reduce(0) { $0 + $1.damagedChunks }
      guard damaged == 0 else {
        throw Failure(
          .failed,
          "\(damaged.counted("chunk")) cannot be read, which counts as full: ipamctl check \(network) --repair"
        )
      }
    }
  }
}

/// The pools of a network at one time.
struct PoolReading {
  let pools: [PoolReport]
  let foreignChunks: Int
  /// Whether chunks are stored as such.
  let hasBytes: Bool
  /// Seconds since 1970.
  let time: UInt64

  /// Visits all chunks.
  static func take(
    _ store: any AllocationStore, _ definition: NetworkDefinition, _ deadline: Deadline
  ) async throws(Failure) -> PoolReading {
    let now = ConsulOptions.surroundings.now()
    var reports: [PoolGeometry: PoolReport] = [:]
    let spaces = try definition.pools()
    for space in spaces {
      reports[space.geometry] = PoolReport(
        of: space, cooldown: UInt64(definition.cooldown.seconds), now: now)
    }
    var foreign = 0
    try await asking { () async throws(StoreError) in
      try await store.visitInOrder(.chunks, deadline: deadline) { key, entry, size in
        guard case .chunk(let name) = key, reports[name.pool] != nil else {
          foreign += 1
          return
        }
        var chunk: Chunk?
        if case .chunk(let stored) = entry.value { chunk = stored }
        reports[name.pool]?.add(name.node, chunk, size: size)
      }
    }
    return PoolReading(
      pools: spaces.compactMap { reports[$0.geometry] }, foreignChunks: foreign,
      hasBytes: !store.traits.keepsOnlyLeases, time: now)
  }

  func table(_ network: String, _ growth: [String: Growth]) -> String {
    pools.map { pool in
      var rows = [
        ["addresses", pool.space.geometry.ordinalCount.description],
        ["capacity", pool.capacity.description],
        ["used", "\(pool.used) (\(percent(pool.used, pool.capacity)))"],
        ["cooling", pool.cooling.description], ["free", pool.free.description],
        ["excluded", pool.excluded.description],
      ]
      if pool.strays > .zero { rows.append(["used outside", pool.strays.description]) }
      rows.append(["chunks", pool.chunks.description])
      rows.append(["chunks touched", "\(pool.touchedChunks)"])
      rows.append(["chunks full", "\(pool.fullChunks)"])
      if pool.damagedChunks > 0 { rows.append(["chunks damaged", "\(pool.damagedChunks)"]) }
      if pool.treeChunks > 0 { rows.append(["chunks of the tree", "\(pool.treeChunks)"]) }
      rows.append(["largest free block", pool.block?.description ?? "none"])
      rows.append(["fragmentation", pool.fragmentation])
      if hasBytes { rows.append(["bytes stored", "\(pool.bytes)"]) }
      if let growth = growth[pool.name] {
        rows.append(["growth", "\(growth.perHour) an hour"])
        rows.append(["exhausted in", growth.exhausted(pool.free).map { "\($0) s" } ?? "never"])
      }
      return Table(["POOL", "\(pool.name) of network \(network)"], rows).text
    }.joined(separator: "\n\n")
  }

  func document(_ network: String, _ growth: [String: Growth]) -> JSONValue {
    let pools = pools.map { pool -> JSONValue in
      var members: [JSONValue.Member] = [
        .init("pool", .string(pool.name)),
        .init("addresses", .exact(pool.space.geometry.ordinalCount)),
        .init("capacity", .exact(pool.capacity)), .init("used", .exact(pool.used)),
        .init("cooling", .exact(pool.cooling)), .init("free", .exact(pool.free)),
        .init("excluded", .exact(pool.excluded)), .init("usedOutside", .exact(pool.strays)),
        .init("chunks", .exact(pool.chunks)),
        .init("chunksTouched", .exact(ExactCount(pool.touchedChunks))),
        .init("chunksFull", .exact(ExactCount(pool.fullChunks))),
        .init("chunksDamaged", .exact(ExactCount(pool.damagedChunks))),
        .init("treeChunks", .exact(ExactCount(pool.treeChunks))),
      ]
      if let block = pool.block {
        members.append(
          .init(
            "largestFree",
            [
              "first": .string(block.first.description), "last": .string(block.last.description),
              "count": .exact(pool.largestFree?.count ?? .zero),
            ]))
      }
      if hasBytes { members.append(.init("bytes", .exact(ExactCount(pool.bytes)))) }
      if let growth = growth[pool.name] {
        members.append(.init("growthPerHour", .number(literal: "\(growth.perHour)")))
        members.append(
          .init(
            "exhaustedInSeconds",
            growth.exhausted(pool.free).map { .exact(ExactCount($0)) } ?? .null))
      }
      return .object(members)
    }
    return [
      "network": .string(network), "time": .string(utc(time)), "pools": .array(pools),
    ]
  }
}

extension NetworkDefinition {
  /// Its pools, each once; what cannot be laid out is the program's error.
  func pools() throws(Failure) -> [PoolSpace] {
    do {
      return try spaces()
    } catch {
      throw Failure(.failed, error.description)
    }
  }
}

extension PoolReport {
  /// The subnet and, where not single addresses are handed out, the length of what is.
  var name: String {
    let geometry = space.geometry
    return geometry.unitPrefixLength == geometry.subnet.family.bitWidth
      ? geometry.subnet.description : "\(geometry.subnet)/\(geometry.unitPrefixLength)"
  }

  /// The addresses of the largest free block.
  var block: AddressRange? {
    largestFree.flatMap { block in
      AddressRange(
        first: space.geometry.address(of: Ordinal(block.first)),
        last: space.geometry.prefix(of: Ordinal(block.last)).last)
    }
  }

  /// What part of the free lies outside the largest block.
  var fragmentation: String {
    percent(free >= largest ? free - largest : .zero, free)
  }

  private var largest: ExactCount { largestFree?.count ?? .zero }
}

/// A part of a whole in percent, cut to a tenth.
private func percent(_ part: ExactCount, _ whole: ExactCount) -> String {
  let tenths = (part.fraction(of: whole) * 1_000).rounded(.down)
  return tenths.isFinite ? "\(tenths / 10)%" : "-"
}

extension JSONValue {
  /// All digits of a count.
  static func exact(_ count: ExactCount) -> JSONValue { .number(literal: count.description) }
}
