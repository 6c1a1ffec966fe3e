// A map as pixels, each the number of an ink: what a palette image holds. Patterns are functions of
// the pixel's place, so that a stripe goes on from one cell to the next.

struct RasterCanvas: Canvas {
  let width: Int
  let height: Int
  /// Row after row from the top.
  private(set) var pixels: [UInt8]

  init(width: Int, height: Int) {
    self.width = width
    self.height = height
    pixels = [UInt8](repeating: UInt8(Ink.paper.rawValue), count: width * height)
  }

  mutating func fill(_ rectangle: Rectangle, _ ink: Ink, title: String?) {
    for y in max(0, rectangle.y)..<min(height, rectangle.y + rectangle.height) {
      for x in max(0, rectangle.x)..<min(width, rectangle.x + rectangle.width)
      where Self.covers(ink, x & 7, y & 7) {
        pixels[y * width + x] = UInt8(ink.rawValue)
      }
    }
  }

  /// Whether a pixel of an 8 by 8 tile is inked; the same shapes as the SVG's.
  private static func covers(_ ink: Ink, _ x: Int, _ y: Int) -> Bool {
    switch ink {
    case .darkStripes, .lightStripes: (x - y) & 7 < 3
    case .dots: (x & 3 == 1 || x & 3 == 2) && (y & 3 == 1 || y & 3 == 2) && (x & 4 == y & 4)
    case .crosses: y == 3 || y == 4 || x == 3 || x == 4
    default: true
    }
  }

  /// Writes in letters of 5 by 7 dots, each of 2 by 2 pixels.
  mutating func write(_ text: String, x: Int, y: Int) {
    for (index, character) in text.enumerated() {
      for (row, dots) in DotFont.rows(of: character).enumerated() {
        for column in 0..<5 where dots & (16 >> column) != 0 {
          let left = x + index * MapPicture.advance + column * 2
          fill(Rectangle(x: left, y: y + row * 2, width: 2, height: 2), .text, title: nil)
        }
      }
    }
  }
}

/// The letters of ASCII in 5 by 7 dots: seven rows of five dots for each, a row being a digit to base
/// 32 whose highest bit is the left dot.
enum DotFont {
  private static let digits: [UInt8] = Array(
    ("0000000 4444404 AAA0000 AAVAVAA 4FKE5U4 OP248J3 CIK8LID 4480000 2488842 8422248 04LEL40 "
      + "044V440 0000C48 000V000 00000CC 01248G0 EHJLPHE 4C4444E EH1248V V2421HE 26AIV22 VGU11HE "
      + "68GUHHE V124888 EHHEHHE EHHF12C 0CC0CC0 0CC0C48 248G842 00V0V00 8421248 EH12404 EH1DLLE "
      + "EHHVHHH UHHUHHU EHGGGHE SIHHHIS VGGUGGV VGGUGGG EHGNHHF HHHVHHH E44444E 72222IC HIKOKIH "
      + "GGGGGGV HRLLHHH HHPLJHH EHHHHHE UHHUGGG EHHHLID UHHUKIH FGGE11U V444444 HHHHHHE HHHHHA4 "
      + "HHHLLLA HHA4AHH HHHA444 V1248GV E88888E 0G84210 E22222E 4AH0000 000000V 8420000 00E1FHF "
      + "GGMPHHU 00EGGHE 11DJHHF 00EHVGE 698S888 0FHHF1E GGMPHHH 40C444E 20622IC GGIKOKI C44444E "
      + "00QLLHH 00MPHHH 00EHHHE 00UHUGG 00DJF11 00MPGGG 00EGE1U 88S8896 00HHHJD 00HHHA4 00HHLLA "
      + "00HA4AH 00HHF1E 00V248V 2448442 4444444 8442448 0008L20 ").utf8)

  /// The rows of a letter from the top, the left dot being 16; of one that is not there, those of `?`.
  static func rows(of character: Character) -> [UInt8] {
    let code = character.asciiValue.flatMap { (0x20...0x7E).contains($0) ? Int($0) : nil } ?? 0x3F
    let start = (code - 0x20) * 8
    return digits[start..<(start + 7)].map { digit in
      digit <= UInt8(ascii: "9") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "A") + 10
    }
  }
}
