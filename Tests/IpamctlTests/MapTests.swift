import JSON
import TestSupport
import Testing

@Suite(.needsConsul) struct MapTests {
  /// A /24 with three addresses held, one that cools and some that are excluded.
  private func network() async throws -> Bench {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.1.0.0/24", "--exclude", "10.1.0.64/27",
      "--cooldown", "3600")
    for number in 1...4 {
      #expect(try await bench.plugin("ADD", "net", "c\(number)").exitStatus == 0)
    }
    #expect(try await bench.plugin("DEL", "net", "c2").exitStatus == 0)
    return bench
  }

  @Test func aCellForEachAddress() async throws {
    let bench = try await network()
    try await bench.golden("map", ["map", "net"])
    try await bench.golden("map-narrow", ["map", "net", "--width", "16"])
    try await bench.golden("map-within", ["map", "net", "--prefix", "10.1.0.0/29"])
    let none = try await bench.ctl("map", "net", "--prefix", "10.2.0.0/24")
    #expect(none.exitStatus == 1 && none.errorOutput.contains("10.2.0.0/24"), "\(none)")
    let wrong = try await bench.ctl("map", "net", "--subnet", "10.1.0.0/24")
    #expect(wrong.exitStatus == 2, "\(wrong)")
  }

  @Test func picturesShowWhatTheStoreHolds() async throws {
    let bench = try await network()
    let (svg, png) = (bench.folder.path + "/map.svg", bench.folder.path + "/map.png")
    try await bench.succeeds("map", "net", "--svg", svg, "--png", png)
    let text = String(decoding: try readFile(svg), as: UTF8.self)
    try bench.expectGolden("map.svg", text)
    let cells = Cell.all(in: text)
    #expect(Set(cells.map(\.address)) == Set((0..<256).map { "10.1.0.\($0)" }))
    // Neighbours on the line are neighbours in the plane; first top left, last top right.
    let line = cells.sorted { $0.number < $1.number }
    for (one, next) in zip(line, line.dropFirst()) {
      #expect(abs(one.x - next.x) + abs(one.y - next.y) == line[0].width + 1, "\(one) \(next)")
    }
    #expect(cells.allSatisfy { $0.x >= line[0].x && $0.x <= line[255].x && $0.y >= line[0].y })
    #expect(line[0].y == line[255].y)
    let held = try await bench.ctl("lease", "list", "net", "--output", "json").json.elements ?? []
    #expect(
      Set(cells.filter { $0.meaning == "used" }.map(\.address))
        == Set(held.compactMap { $0["address"]?.string }))
    #expect(cells.count { $0.meaning == "cooling" } == 1)
    // 32, and the network, gateway and broadcast addresses.
    #expect(cells.count { $0.meaning == "excluded" } == 35)

    let image = try await Pixels(decoding: png)
    for cell in cells {
      let colours = image.colours(cell.x..<(cell.x + cell.width), cell.y..<(cell.y + cell.width))
      let expected: Set<UInt32> =
        switch cell.meaning {
        case "used": [0x0B2F5E]
        case "free": [0xE9EEF2]
        case "cooling": [0xE69F00, 0x4A3300]
        default: [0xBCC2C8, 0x4B5259]
        }
      #expect(colours == expected, "\(cell)")
    }
    try await bench.succeeds("map", "net", "--png", png, "--theme", "dark")
    let dark = try await Pixels(decoding: png)
    #expect(dark.colours(0..<4, 0..<4) == [0x12161A] && image.colours(0..<4, 0..<4) == [0xFFFFFF])
  }

  @Test func largePoolsByWhatWasTouched() async throws {
    let bench = try await Bench()
    try await bench.succeeds(
      "network", "create", "net", "--subnet", "10.0.0.0/8", "--subnet", "fd00::/64")
    for number in 1...3 {
      #expect(try await bench.plugin("ADD", "net", "c\(number)").exitStatus == 0)
    }
    let maps = try await bench.ctl("map", "net", "--output", "json").json.elements ?? []
    #expect(maps.map { $0["pool"]?.string } == ["10.0.0.0/8", "fd00::/64"])
    #expect(maps.map { $0["total"]?.string } == ["16777216", "18446744073709551616"])
    #expect(maps.map { $0["used"]?.integer } == [3, 3])
    // Without network, gateway and broadcast; IPv6 has no broadcast.
    #expect(maps.map { $0["free"]?.string } == ["16777210", "18446744073709551611"])
    #expect(maps.allSatisfy { $0["cells"]?.elements?.count == 1 }, "\(maps)")
    let table = try await bench.succeeds("map", "net", "--width", "64")
    #expect(table.contains("a cell is a /18: 16384 addresses"))
    #expect(table.split(separator: "\n").count { $0.contains("**") } == 4, "\(table)")
    let png = bench.folder.path + "/map.png"
    try await bench.succeeds("map", "net", "--png", png)
    #expect(try await Pixels(decoding: png).width > 768)
  }

  @Test func whatCannotBeReadIsShown() async throws {
    let bench = try await network()
    let chunk = try #require(try bench.keys().first { $0.contains("/pools/") })
    try bench.put(bench.key(chunk), "nonsense")
    let ended = try await bench.ctl("map", "net")
    #expect(ended.exitStatus == 4 && ended.output.contains("????"), "\(ended)")
    #expect(
      ended.output.contains("damaged   1 of the chunks") && ended.errorOutput.contains("check net"))
  }

  @Test func aDirectory() async throws {
    let bench = try await Bench()
    let folder = bench.folder.path + "/networks"
    try await ChildProcess.run(["mkdir", "-p", folder + "/net"])
    let none = try await bench.ctl("map", "net", "--data-dir", folder)
    #expect(none.exitStatus == 1 && none.errorOutput.contains("--subnet"), "\(none)")
    let disk = #""backend": "disk", "dataDir": "\#(folder)", "subnet": "10.1.0.0/24""#
    for number in 1...3 {
      #expect(try await bench.plugin("ADD", "net", "c\(number)", disk).exitStatus == 0)
    }
    try await bench.golden("map-disk", ["map", "net", "--data-dir", folder])
    let part = try await bench.succeeds(
      "map", "net", "--data-dir", folder, "--subnet", "10.1.0.0/28", "--exclude", "10.1.0.8/30")
    // The excluded, and network, gateway and broadcast.
    #expect(part.contains("used      3\n") && part.contains("excluded  7\n"), "\(part)")
  }

  @Test func coloursOnATerminalOnly() async throws {
    let bench = try await network()
    let words = [
      program("ipamctl", "CNI_IPAM_CTL"), "map", "net", "--consul", bench.consul.address,
      "--consul-prefix", bench.prefix,
    ]
    func run(_ command: [String], _ environment: [String: String]) async throws -> String {
      var execution = Execution(command)
      execution.environment = environment
      return try await execution.run().output
    }
    let terminal = ["script", "-qec", words.joined(separator: " "), "/dev/null"]
    let variables = ["TERM": "xterm", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"]
    let coloured = try await run(terminal, variables)
    #expect(coloured.contains("\u{1B}[34m██") && coloured.contains("\u{1B}[33m~~"), "\(coloured)")
    let plain = try await run(terminal, variables.merging(["NO_COLOR": "1"]) { $1 })
    #expect(plain.contains("██") && !plain.contains("\u{1B}["), "\(plain)")
    let narrow = ["script", "-qec", "stty cols 40; " + words.joined(separator: " "), "/dev/null"]
    let folded = try await run(narrow, variables.merging(["NO_COLOR": "1"]) { $1 })
    #expect(folded.contains("left, the last top right"), "\(folded)")
    #expect(
      folded.split(whereSeparator: \.isNewline).allSatisfy { $0.count <= 40 }, "\(folded)")
    let piped = try await run(words, variables)
    #expect(piped.contains("██") && !piped.contains("\u{1B}["), "\(piped)")
    try bench.expectGolden("map-unicode.table", piped)
  }
}

/// A cell of an SVG that has a title.
private struct Cell {
  let x, y, width: Int
  let address: String
  let meaning: String

  var number: Int { address.split(separator: ".").last.flatMap { Int($0) } ?? -1 }

  static func all(in svg: String) -> [Cell] {
    let form = /<rect x="([0-9]+)" y="([0-9]+)" width="([0-9]+)"[^>]*><title>([^:]*): ([a-z]+)</
    return svg.matches(of: form).compactMap { match in
      guard let x = Int(match.1), let y = Int(match.2), let width = Int(match.3) else { return nil }
      return Cell(x: x, y: y, width: width, address: String(match.4), meaning: String(match.5))
    }
  }
}

/// A PNG as libpng reads it.
private struct Pixels {
  let width: Int
  private let samples: [UInt8]

  init(decoding path: String) async throws {
    // Plain text, because what a program printed is text here.
    var execution = Execution(["sh", "-c", "pngtopnm \(path) | pnmtoplainpnm"])
    execution.environment = ["PATH": "/usr/bin:/bin"]
    let ended = try await execution.run()
    guard ended.exitStatus == 0, ended.errorOutput.isEmpty else {
      throw TestSupportError("\(path): \(ended)")
    }
    let words = ended.output.split(whereSeparator: \.isWhitespace)
    guard words.count > 4, words[0] == "P3", let width = Int(words[1]) else {
      throw TestSupportError("\(path): \(words.prefix(4))")
    }
    self.width = width
    samples = words.dropFirst(4).compactMap { UInt8($0) }
  }

  func colours(_ columns: Range<Int>, _ rows: Range<Int>) -> Set<UInt32> {
    var colours: Set<UInt32> = []
    for y in rows {
      for x in columns {
        let start = (y * width + x) * 3
        colours.insert(samples[start..<(start + 3)].reduce(0) { $0 << 8 | UInt32($1) })
      }
    }
    return colours
  }
}
