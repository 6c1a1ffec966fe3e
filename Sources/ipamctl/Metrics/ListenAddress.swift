import ArgumentParser

/// Where a server listens: `host:port`, `[IPv6]:port`, or `:port` for all addresses of the machine.
struct ListenAddress: Sendable, ExpressibleByArgument, CustomStringConvertible {
  /// A name or an address without brackets; nil for all addresses.
  let host: String?
  /// 0 lets the system choose.
  let port: Int

  init?(argument: String) {
    guard let colon = argument.lastIndex(of: ":"),
      let port = UInt16(argument[argument.index(after: colon)...])
    else { return nil }
    self.port = Int(port)
    let host = argument[..<colon]
    if host.isEmpty {
      self.host = nil
    } else if host.hasPrefix("["), host.hasSuffix("]"), host.count > 2 {
      self.host = String(host.dropFirst().dropLast())
    } else if !host.contains(where: { ":[]/".contains($0) }) {
      self.host = String(host)
    } else {
      return nil
    }
  }

  init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  var description: String {
    guard let host else { return ":\(port)" }
    return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}
