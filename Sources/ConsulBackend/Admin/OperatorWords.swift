import IPAM

// What an error tells an operator to type must do what it says when it is typed: on this Consul, in
// this datacenter, below this prefix. The token is the operator's own and never named.

extension ConsulStore {
  /// Options of ipamctl that lead to this store, each with a space before it; empty where its
  /// defaults do.
  public var operatorWords: String {
    let configuration = client.configuration
    let address = configuration.endpoint.description
    let tls = configuration.endpoint.usesTLS ? configuration.tls : nil
    let options: [(String, String?)] = [
      ("consul", address == "http://127.0.0.1:8500" ? nil : address),
      ("consul-prefix", prefix == Self.defaultPrefix ? nil : prefix),
      ("dc", configuration.datacenter), ("consul-namespace", configuration.namespace),
      ("consul-partition", configuration.partition),
      ("token-file", configuration.credentials.tokenFile?.path),
      ("ca-file", tls?.authorities?.path), ("cert-file", tls?.certificate?.path),
      ("key-file", tls?.key?.path), ("tls-server-name", tls?.serverName),
    ]
    return options.reduce(into: "") { words, option in
      if let value = option.1 { words += " --\(option.0) \(value.shellWord)" }
    }
  }
}

extension String {
  /// The text as one word of a shell's command line.
  package var shellWord: String {
    let isPlain = utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: "/:._-+@,=%".utf8.contains(byte)
      }
    }
    return isPlain && !isEmpty ? self : "'\(replacing("'", with: #"'\''"#))'"
  }
}
