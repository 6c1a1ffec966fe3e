import Glibc

// What the terminal can do. Colours only where a person looks, and never where NO_COLOR is set
// (no-color.org: to anything but nothing); signs outside ASCII only where the locale has them.

extension Terminal {
  /// The eight colours that every terminal has; its own theme makes them light or dark.
  enum Colour: String {
    case red = "31"
    case yellow = "33"
    case blue = "34"
    case grey = "90"
  }

  /// Whether standard output is a terminal that shows colours.
  static var hasColours: Bool {
    isatty(STDOUT_FILENO) == 1 && (environment["NO_COLOR"] ?? "").isEmpty
      && environment["TERM"] != "dumb"
  }

  /// The columns of the terminal that standard output is, if it is one.
  static var columns: Int? {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }

  /// Whether text is UTF-8, by the first of the variables that locale(7) asks.
  static var isUnicode: Bool {
    let variables = environment
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { variables[$0] }.first { !$0.isEmpty }
    let name = (locale ?? "").lowercased()
    return name.hasSuffix("utf-8") || name.hasSuffix("utf8")
  }
}
