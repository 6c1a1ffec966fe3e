// The reference decodes the whole configuration before it looks at what anything means, and stops at
// the first text that should be an address and is none. So of several errors that one is said, in the
// order of the text; what has a wrong type its decoder passes over until the end, and so does this.

internal import AddressSpace
internal import JSON

extension NetworkConfiguration {
  /// Refuses the first text in `args`, `ipam` and `runtimeConfig` that should be an address or a
  /// prefix and is none. Throws code 7. O(size).
  public func checkSyntax() throws(CNIError) {
    for (name, member) in ConfigurationElement(path: "", json: root.json).members {
      switch name {
      case "args":
        for (name, conventional) in member.members where name == "cni" {
          for (name, value) in conventional.members where name == "ips" {
            try value.checkRequests()
          }
        }
      case "ipam":
        for (name, value) in member.members {
          switch name {
          case "ranges": try value.checkRangeSets()
          case "routes": try value.checkRoutes()
          default: try value.checkBound(name)
          }
        }
      case "runtimeconfig":
        for (name, value) in member.members {
          if name == "ipranges" { try value.checkRangeSets() }
          if name == "ips" { try value.checkRequests() }
        }
      default: continue
      }
    }
  }
}

extension ConfigurationElement {
  /// The members of an object in the order of the text, by their names in lower case.
  fileprivate var members: [(name: String, value: ConfigurationElement)] {
    guard case .object(let members) = json else { return [] }
    return members.map {
      let path = path.isEmpty ? $0.key : "\(path).\($0.key)"
      return ($0.key.lowercased(), ConfigurationElement(path: path, json: $0.value))
    }
  }

  private var entries: [ConfigurationElement] { (try? list()) ?? [] }

  fileprivate func checkRangeSets() throws(CNIError) {
    for set in entries {
      for range in set.entries {
        for (name, value) in range.members { try value.checkBound(name) }
      }
    }
  }

  fileprivate func checkRoutes() throws(CNIError) {
    for route in entries {
      for (name, value) in route.members {
        if name == "dst" { try value.checkPrefix() }
        if name == "gw" { try value.checkAddress() }
      }
    }
  }

  /// One key of a range.
  fileprivate func checkBound(_ name: String) throws(CNIError) {
    switch name {
    case "subnet": try checkPrefix()
    case "rangestart", "range-start", "rangeend", "range-end", "gateway": try checkAddress()
    default: return
    }
  }

  /// An empty request is nobody's concern here: it is decoded, and then refused.
  fileprivate func checkRequests() throws(CNIError) {
    for element in entries where element.json.string?.isEmpty == false {
      _ = try element.requestedAddress()
    }
  }

  private func checkPrefix() throws(CNIError) {
    guard let text = json.string, (try? InterfaceAddress(parsing: text)) == nil else { return }
    throw CNIError(.configuration, "invalid CIDR address: \(text)", details: path)
  }

  private func checkAddress() throws(CNIError) {
    guard let text = json.string, !text.isEmpty, (try? IPAddress(parsing: text)) == nil
    else { return }
    throw CNIError(.configuration, "invalid IP address: \(text)", details: path)
  }
}
