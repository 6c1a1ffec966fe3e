import AddressSpace
import ArgumentParser
import ConsulBackend
import IPAM

// The Prometheus text exposition format, version 0.0.4: one HELP and TYPE for each name, all its
// samples together.

struct MetricsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metrics", abstract: "Says how full the pools are, for Prometheus.",
    discussion: """
      Prints Prometheus' text format. With --write the file is replaced whole, as the node exporter's \
      textfile collector wants it (a name that ends with .prom); run it from a timer. A file that is \
      not renewed shows by cni_ipam_consul_read_timestamp_seconds. All networks below the prefix \
      without a name; a directory has one network.
      """)
  @Argument(help: "The networks; all without one.") var networks: [String] = []
  @Option(help: "The file to write; standard output without it.") var write: String?
  @OptionGroup var source: DefinitionOptions
  @OptionGroup var place: StoreOptions

  func validate() throws {
    guard place.dataDir == nil || networks.count == 1 && !source.isEmpty else {
      throw ValidationError("--data-dir needs one network, and --subnet or --file")
    }
  }

  func run() async throws {
    var names = networks
    if names.isEmpty {
      let known = try place.consul.networks()
      let deadline = place.consul.deadline
      names = try await asking { () async throws(StoreError) in
        try await known.names(deadline: deadline)
      }
    }
    var metrics = PoolMetrics()
    for name in names {
      let (store, known) = try await place.store(name, source)
      guard let definition = known else { throw Failure(.no, "no network \(name)") }
      metrics.add(
        name, try await PoolReading.take(store, definition, place.consul.deadline))
    }
    guard let write else { return Terminal.print(String(metrics.text.dropLast())) }
    try Terminal.replace(write, with: metrics.text)
  }
}

/// Samples by the name of their metric.
struct PoolMetrics {
  private static let prefix = "cni_ipam_consul_"
  private static let help = [
    ("pool_addresses", "Addresses of a pool by what they are."),
    ("pool_capacity_addresses", "Addresses of a pool that may be handed out."),
    ("pool_largest_free_addresses", "The longest run of free addresses in a pool."),
    ("pool_chunks", "Chunks of a pool by what they are."),
    ("pool_stored_bytes", "Bytes of the chunks of a pool in Consul."),
    ("read_timestamp_seconds", "When the network was read, in seconds since 1970."),
  ]
  private var samples: [String: [String]] = [:]

  mutating func add(_ network: String, _ reading: PoolReading) {
    add("read_timestamp_seconds", [("network", network)], "\(reading.time)")
    for pool in reading.pools {
      let labels = [("network", network), ("pool", pool.name)]
      for (state, count) in [
        ("used", pool.used), ("cooling", pool.cooling), ("free", pool.free),
        ("excluded", pool.excluded), ("outside", pool.strays),
      ] {
        add("pool_addresses", labels + [("state", state)], count.description)
      }
      add("pool_capacity_addresses", labels, pool.capacity.description)
      add(
        "pool_largest_free_addresses", labels, (pool.largestFree?.count ?? .zero).description)
      for (state, count) in [
        ("touched", pool.touchedChunks), ("full", pool.fullChunks),
        ("damaged", pool.damagedChunks), ("tree", pool.treeChunks),
      ] {
        add("pool_chunks", labels + [("state", state)], "\(count)")
      }
      if reading.hasBytes { add("pool_stored_bytes", labels, "\(pool.bytes)") }
    }
  }

  private mutating func add(_ name: String, _ labels: [(String, String)], _ value: String) {
    let list = labels.map { #"\#($0)="\#(Self.escape($1))""# }.joined(separator: ",")
    samples[name, default: []].append("\(Self.prefix)\(name){\(list)} \(value)")
  }

  private static func escape(_ text: String) -> String {
    text.replacing("\\", with: #"\\"#).replacing("\"", with: #"\""#).replacing("\n", with: #"\n"#)
  }

  var text: String {
    var text = ""
    for (name, help) in Self.help {
      guard let lines = samples[name] else { continue }
      text += "# HELP \(Self.prefix)\(name) \(help)\n# TYPE \(Self.prefix)\(name) gauge\n"
      text += lines.joined(separator: "\n") + "\n"
    }
    return text
  }
}
