import Workloads

/// What the command line says.
struct Options {
  var showsAll = false
  var updates = false
  var only = ""
  var rounds = 60
  var thresholds = "thresholds.txt"

  init(_ arguments: some Sequence<String>) {
    var rest = Array(arguments)[...]
    while let option = rest.popFirst() {
      switch option {
      case "--all": showsAll = true
      case "--update": updates = true
      case "--only": only = rest.popFirst() ?? ""
      case "--rounds": rounds = rest.popFirst().flatMap { Int($0) } ?? 0
      case "--thresholds": thresholds = rest.popFirst() ?? ""
      default: require(false, "unknown option \(option)")
      }
    }
    require(rounds > 0, "--rounds takes a positive number")
  }
}
