// Path and query of a request. Everything but unreserved characters and the slashes of a key is
// percent-encoded (RFC 3986), so that no key can become a query or a header.

enum RequestTarget {
  static func make(
    _ configuration: ConsulConfiguration, path: String, query: [String]
  ) -> String {
    var query = query
    if let datacenter = configuration.datacenter { query.append("dc=\(Self.query(datacenter))") }
    if let namespace = configuration.namespace { query.append("ns=\(Self.query(namespace))") }
    if let partition = configuration.partition {
      query.append("partition=\(Self.query(partition))")
    }
    let path = configuration.endpoint.pathPrefix + path
    return query.isEmpty ? path : "\(path)?\(query.joined(separator: "&"))"
  }

  static func path(_ key: String) -> String { encode(key, keeping: UInt8(ascii: "/")) }

  static func query(_ value: String) -> String { encode(value, keeping: nil) }

  private static func encode(_ text: String, keeping kept: UInt8?) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count)
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"):
        bytes.append(byte)
      case kept: bytes.append(byte)
      default:
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
