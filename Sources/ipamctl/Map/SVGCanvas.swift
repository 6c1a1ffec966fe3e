// A map as SVG 1.1: text that scales, and a title on every cell that is large enough. The reader's
// choice of light or dark is the picture's too, unless a theme is asked for.

struct SVGCanvas: Canvas {
  private var body = ""

  mutating func fill(_ rectangle: Rectangle, _ ink: Ink, title: String?) {
    let place =
      #"x="\#(rectangle.x)" y="\#(rectangle.y)" width="\#(rectangle.width)""#
      + #" height="\#(rectangle.height)""#
    let paint = Self.isPattern(ink) ? #"fill="url(#\#(ink))""# : #"class="\#(ink)""#
    if let title {
      body += "<rect \(place) \(paint)><title>\(Self.escaped(title))</title></rect>\n"
    } else {
      body += "<rect \(place) \(paint)/>\n"
    }
  }

  mutating func write(_ text: String, x: Int, y: Int) {
    body += #"<text x="\#(x)" y="\#(y + 14)" class="text">\#(Self.escaped(text))</text>"# + "\n"
  }

  /// The whole file.
  func document(width: Int, height: Int, theme: Theme?) -> String {
    var style = Self.rules(theme ?? .light)
    if theme == nil {
      style += "@media (prefers-color-scheme: dark) {\n\(Self.rules(.dark))}\n"
    }
    return """
      <?xml version="1.0" encoding="UTF-8"?>
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" \
      width="\(width)" height="\(height)" shape-rendering="crispEdges" xml:space="preserve">
      <style>
      text { font: 18px monospace; }
      \(style)</style>
      <defs>
      <pattern id="darkStripes" \(Self.tile)><path d="\(Self.stripe)" class="darkStripes"/></pattern>
      <pattern id="lightStripes" \(Self.tile)>\
      <path d="\(Self.stripe)" class="lightStripes"/></pattern>
      <pattern id="dots" \(Self.tile)><path d="\(Self.dots)" class="dots"/></pattern>
      <pattern id="crosses" \(Self.tile)><path d="\(Self.cross)" class="crosses"/></pattern>
      </defs>
      \(body)</svg>

      """
  }

  private static let tile = #"width="8" height="8" patternUnits="userSpaceOnUse""#
  private static let stripe = "M0 0h3L8 5v3zM0 5v3h3z"
  private static let dots = "M1 1h2v2h-2zM5 5h2v2h-2z"
  private static let cross = "M0 3h8v2h-8zM3 0h2v8h-2z"

  private static func isPattern(_ ink: Ink) -> Bool { ink.rawValue >= Ink.darkStripes.rawValue }

  private static func rules(_ theme: Theme) -> String {
    Ink.allCases.map { ".\($0) { fill: \(hexColour(theme.colour($0))); }\n" }.joined()
  }

  private static func hexColour(_ colour: UInt32) -> String {
    let digits = String(colour, radix: 16)
    return "#" + String(repeating: "0", count: 6 - digits.count) + digits
  }

  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "&": escaped += "&amp;"
      // XML 1.0 has no control characters.
      case _ where scalar.value < 0x20: escaped += "\u{FFFD}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
