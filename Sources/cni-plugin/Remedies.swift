import ConsulBackend

/// The operator's commands that an error names, as they have to be typed for this very network.
enum Remedies: Sendable {
  case consul(network: String, ConsulStore, stateDirectory: String)
  case directory(network: String, path: String)

  /// Shows who holds which address.
  var list: String { "ipamctl lease list \(words)" }

  /// Finds what does not add up, and mends it where the store is not the truth itself.
  var check: String {
    guard case .consul(_, _, let directory) = self else { return "ipamctl check \(words)" }
    let isUsual = directory == Backend.stateDirectory
    return "ipamctl check \(words) --repair"
      + (isUsual ? "" : " --state-dir \(directory.shellWord)")
  }

  /// Defines the network; nil where the configuration alone does.
  var create: String? {
    guard case .consul = self else { return nil }
    return "ipamctl network create \(words) --file FILE"
  }

  private var words: String {
    switch self {
    case .consul(let network, let store, _): network.shellWord + store.operatorWords
    case .directory(let network, let path): "\(network.shellWord) --data-dir \(path.shellWord)"
    }
  }
}
