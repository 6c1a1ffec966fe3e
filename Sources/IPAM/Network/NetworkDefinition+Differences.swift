// The definition in the store rules, whatever a client's file says. Where they differ an operator
// should hear of it, in the words of the file.

extension NetworkDefinition {
  /// The configuration keys in which another definition of the network differs from this one, sorted.
  ///
  /// The incarnation does not count: it is drawn, not configured.
  public func differences(from other: NetworkDefinition) -> [String] {
    var keys: [String] = []
    if rangeSets != other.rangeSets { keys.append("ranges") }
    if exclusions != other.exclusions { keys.append("exclude") }
    if routes != other.routes { keys.append("routes") }
    if dns != other.dns { keys.append("resolvConf") }
    if cooldown.seconds != other.cooldown.seconds { keys.append("cooldown") }
    if cooldown.policy != other.cooldown.policy { keys.append("cooldownPolicy") }
    if searchOrder != other.searchOrder { keys.append("searchOrder") }
    if chunkBits != other.chunkBits { keys.append("chunkBits") }
    if unitPrefixLength != other.unitPrefixLength { keys.append("unitPrefixLength") }
    if journal != other.journal { keys.append("journal") }
    return keys.sorted()
  }
}
