/// What the users of a program call the settings; errors name what can be typed there.
public enum ConsulSettingNames: Hashable, Sendable {
  /// The keys of the plugin's configuration: `consul_addr`, `token_file`.
  case keys
  /// The options of `ipamctl`: `--consul`, `--token-file`.
  case options

  /// The name of the setting that has this key in a configuration.
  func callAsFunction(_ key: String) -> String {
    switch self {
    case .keys: key
    case .options:
      key == "consul_addr" ? "--consul" : "--" + String(key.map { $0 == "_" ? "-" : $0 })
    }
  }

  /// Where a token may come from.
  var ofToken: String {
    switch self {
    case .keys: "token, token_file"
    case .options: "--token-file, CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_TOKEN"
    }
  }
}
