// A network of a test's own, in a folder or in the Consul server that the tests share, and how it
// looks from outside, read without any code of the product's stores.

internal import FoundationEssentials
internal import TestSupport
import Testing

/// The two stores.
enum StoreKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case disk, consul

  var testDescription: String { rawValue }
}

/// One Consul server in memory for all tests, each of which has a prefix of its own in it.
enum SharedConsul {
  private static let server = Task {
    var options = ConsulServer.Options()
    options.unixSocket = true
    // So that a test can look at it while others run many processes.
    options.configuration = "limits { http_max_conns_per_client = 4096 }"
    return try await ConsulServer.start(options)
  }

  static func get() async throws -> ConsulServer { try await server.value }
}

/// A network nobody else uses.
struct TestNetwork: Sendable {
  let kind: StoreKind
  let name: String
  /// Holds the network's directory and what the plugin remembers of this node.
  let folder: TemporaryFolder
  /// Only of a network in Consul.
  let consul: ConsulServer?
  let prefix = "test-\(UInt64.random(in: 0...(.max)))"

  init(_ kind: StoreKind, name: String = "net", consul: ConsulServer? = nil) async throws {
    (self.kind, self.name) = (kind, name)
    folder = try TemporaryFolder()
    self.consul = kind == .disk ? nil : try await SharedConsul.get(consul)
  }

  /// `<dataDir>/<name>` of a network on disk.
  var directory: String { "\(folder.path)/networks/\(name)" }

  /// What an `ipam` object needs to lead here.
  var place: JSON {
    var place: JSON = ["stateDir": .string("\(folder.path)/state")]
    if let consul {
      place["type"] = "consul"
      place["consul_addr"] = .string(consul.host)
      place["consul_port"] = .string("\(consul.port)")
      place["prefix"] = .string(prefix)
    } else {
      place["type"] = "host-local"
      place["dataDir"] = .string("\(folder.path)/networks")
    }
    return place
  }

  /// A configuration of this network; the members of `others` stand beside `ipam`.
  func configuration(
    _ ipam: JSON, version: String? = "1.0.0", _ others: JSON = [:]
  ) -> JSON {
    var whole: JSON = ["name": .string(name), "ipam": place.merging(ipam)]
    if let version { whole["cniVersion"] = .string(version) }
    return whole.merging(others)
  }

  /// Everything of the network that a store keeps: file names or keys below the network, and
  /// contents. The lock file is not part of it.
  func contents() throws -> [String: [UInt8]] {
    guard let consul else { return try files() }
    let reply = try consul.request("GET", "/v1/kv/\(prefix)/\(name)/?recurse")
    if reply.status == 404 { return [:] }
    var contents: [String: [UInt8]] = [:]
    for entry in try JSON(parsing: reply.body).elements ?? [] {
      let key = (entry["Key"]?.string ?? "").dropFirst("\(prefix)/\(name)/".count)
      contents[String(key)] = Array(Data(base64Encoded: entry["Value"]?.string ?? "") ?? Data())
    }
    return contents
  }

  private func files() throws -> [String: [UInt8]] {
    var contents: [String: [UInt8]] = [:]
    let names = (try? FileManager.default.subpathsOfDirectory(atPath: directory)) ?? []
    for name in names where name != "lock" {
      var isFolder = false
      _ = FileManager.default.fileExists(atPath: "\(directory)/\(name)", isDirectory: &isFolder)
      if !isFolder { contents[name] = try readFile("\(directory)/\(name)") }
    }
    return contents
  }

  /// All keys of the whole prefix: what is there before the network is.
  func everything() throws -> [String] {
    guard let consul else {
      let networks = "\(folder.path)/networks"
      return ((try? FileManager.default.subpathsOfDirectory(atPath: networks)) ?? []).sorted()
    }
    let reply = try consul.request("GET", "/v1/kv/\(prefix)/?keys")
    if reply.status == 404 { return [] }
    return (try JSON(parsing: reply.body).elements ?? []).compactMap(\.string)
  }
}

extension SharedConsul {
  fileprivate static func get(_ other: ConsulServer?) async throws -> ConsulServer {
    if let other { return other }
    return try await get()
  }
}
