// Name resolution settings of a result, and the parser of the file they come from.

internal import JSON

/// What a container is to resolve names with.
public struct DNS: Hashable, Sendable {
  /// Addresses of servers, as written.
  public var nameservers: [String] = []
  /// The local domain; empty if there is none.
  public var domain = ""
  /// Domains to search.
  public var search: [String] = []
  /// Options of the resolver.
  public var options: [String] = []

  /// Nothing set.
  public init() {}

  /// Parses the text of a `resolv.conf` (resolv.conf(5)) as the reference does: the first word of
  /// `nameserver`, the last `domain`, all of `search` and `options`; everything else is ignored.
  /// O(length).
  public init(resolvConf text: String) {
    for line in text.unicodeScalars.split(separator: "\n") {
      let words = line.split { $0.properties.isWhitespace }.map { String($0) }
      guard let keyword = words.first, words.count > 1 else { continue }
      switch keyword {
      case "nameserver": nameservers.append(words[1])
      case "domain": domain = words[1]
      case "search": search += words.dropFirst()
      case "options": options += words.dropFirst()
      default: break  // comments too: no keyword begins with `#` or `;`
      }
    }
  }

  var json: JSONValue {
    func list(_ key: String, _ texts: [String]) -> [JSONValue.Member] {
      texts.isEmpty ? [] : [.init(key, .array(texts.map { .string($0) }))]
    }
    return .object(
      list("nameservers", nameservers) + (domain.isEmpty ? [] : [.init("domain", .string(domain))])
        + list("search", search) + list("options", options))
  }
}
