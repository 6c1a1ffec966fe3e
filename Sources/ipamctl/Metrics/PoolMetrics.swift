import AddressSpace
import IPAM

// The Prometheus text exposition format, version 0.0.4: one HELP and TYPE for each name, all its
// samples together.

/// Samples by the name of their metric.
struct PoolMetrics {
  private static let prefix = "cni_ipam_consul_"
  private static let help = [
    ("network_up", "1 if the network could be read, else 0."),
    ("pool_addresses", "Addresses of a pool by what they are."),
    ("pool_capacity_addresses", "Addresses of a pool that may be handed out."),
    ("pool_largest_free_addresses", "The longest run of free addresses in a pool."),
    ("pool_chunks", "Chunks of a pool by what they are."),
    ("pool_stored_bytes", "Bytes of the chunks of a pool in Consul."),
    ("read_timestamp_seconds", "When the network was read, in seconds since 1970."),
  ]
  private var samples: [String: [String]] = [:]

  /// Whether the store could be read: what a scrape is told before anything else.
  static func up(_ isUp: Bool) -> String {
    """
    # HELP \(prefix)up 1 if the store could be read, else 0.
    # TYPE \(prefix)up gauge
    \(prefix)up \(isUp ? 1 : 0)

    """
  }

  /// A network that cannot be read, while others can.
  mutating func addUnreadable(_ network: String) {
    add("network_up", [("network", network)], "0")
  }

  mutating func add(_ network: String, _ reading: PoolReading) {
    add("network_up", [("network", network)], "1")
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
