import AddressSpace
import ArgumentParser
import BitmapAllocator
import ConsulBackend
import DiskBackend
import IPAM
import JSON

struct MapCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "map",
    abstract: "Draws the address space of a network.",
    discussion: """
      A line of all addresses is folded into a square (Hilbert's curve): neighbours stay \
      neighbours, and a prefix is a square, or two side by side. A cell is one address where they \
      fit, else a prefix; --prefix looks into one.

      Drawn in the terminal, or with --svg and --png into files. A directory keeps no definition: \
      give it as for "network create" (--file, --subnet, --exclude, …), else the smallest prefix \
      around what is held is drawn.
      """)
  @Argument(help: "The network.") var name: String
  @Option(help: "Only the pool that this prefix lies in, and of it only the prefix.")
  var prefix: String?
  @Option(help: "Columns that the map in the terminal may take; its width, at most 80, without.")
  var width: Int?
  @Option(help: "Write a picture as SVG; - is standard output.") var svg: String?
  @Option(help: "Write a picture as PNG; - is standard output.") var png: String?
  @Option(help: "Light or dark; an SVG without it is what its reader prefers, a PNG light.")
  var theme: Theme?
  @OptionGroup(title: "A directory's definition") var source: DefinitionOptions
  @OptionGroup var place: StoreOptions
  @OptionGroup var format: OutputOptions

  func validate() throws {
    if let width, !(2...512).contains(width) {
      throw ValidationError("--width \(width): 2 to 512 columns")
    }
    guard place.dataDir != nil || source.isEmpty else {
      throw ValidationError("a network in Consul has its definition there: only for --data-dir")
    }
  }

  func run() async throws {
    let window: Prefix?
    do {
      window = try prefix.map { try Prefix(parsing: $0) }
    } catch {
      throw Failure(.usage, "--prefix: \(error)")
    }
    let isPicture = svg != nil || png != nil
    let columns = width ?? min(Terminal.columns ?? 80, 80)
    let fitting = TerminalMap.cellLimit(columns: columns)
    let limits = isPicture ? MapPicture.cellLimits : (exact: fitting, aggregated: fitting)
    let maps = try await place.maps(
      of: name, source: source, window: window, limits: limits)
    if isPicture {
      try draw(MapPicture(network: name, maps: maps))
    } else {
      switch format.output {
      case .json:
        Terminal.print(JSONValue.array(maps.map(\.document)).indented)
      case .table:
        for (index, map) in maps.enumerated() {
          if index > 0 { Terminal.print("") }
          let drawn = TerminalMap(
            map: map, columns: columns, isUnicode: Terminal.isUnicode,
            hasColours: Terminal.hasColours)
          Terminal.print(drawn.lines.joined(separator: "\n"))
        }
      }
    }
    let damaged = maps.reduce(0) { $0 + $1.counts.damagedChunks }
    if damaged > 0 {
      throw Failure(
        .failed, "\(damaged) of the chunks cannot be read: ipamctl check \(name) --repair")
    }
  }

  private func draw(_ picture: MapPicture) throws(Failure) {
    if let svg {
      var canvas = SVGCanvas()
      picture.draw(on: &canvas)
      let text = canvas.document(width: picture.width, height: picture.height, theme: theme)
      try Terminal.replace(svg, with: text.utf8)
    }
    if let png {
      var canvas = RasterCanvas(width: picture.width, height: picture.height)
      picture.draw(on: &canvas)
      try Terminal.replace(png, with: PNGFile.bytes(canvas, theme: theme ?? .light))
    }
  }
}

extension Theme: ExpressibleByArgument {}

// MARK: - Reading it

extension StoreOptions {
  /// A map of each pool, or of the one that a window lies in.
  fileprivate func maps(
    of network: String, source: DefinitionOptions, window: Prefix?,
    limits: (exact: Int, aggregated: Int)
  ) async throws(Failure) -> [AddressMap] {
    func empty(_ definition: NetworkDefinition) throws(Failure) -> [AddressMap] {
      let maps = try definition.pools().compactMap { space in
        AddressMap(of: space, window: window ?? space.geometry.subnet, limits: limits)
      }
      guard !maps.isEmpty else {
        throw Failure(.no, "no pool of network \(network) has \(window.map(\.description) ?? "-")")
      }
      return maps
    }
    let deadline = consul.deadline
    guard dataDir == nil else {
      let addresses = try await addresses(of: network, deadline)
      var maps = try empty(try definition(source, of: network, around: addresses))
      for index in maps.indices {
        for address in addresses { maps[index].add(address) }
      }
      return maps
    }
    let store = try consul.store(network)
    let definition = try await ipamctl.definition(of: store, network, deadline).definition
    var maps = try empty(definition)
    let now = ConsulOptions.surroundings.now()
    try await asking { () async throws(StoreError) in
      try await store.list(.chunks, deadline: deadline) { key, entry in
        guard case .chunk(let chunk) = key, chunk.node.level == 0,
          let index = maps.firstIndex(where: { $0.space.geometry == chunk.pool })
        else { return }
        guard case .chunk(let value) = entry.value, value.incarnation == definition.incarnation
        else {
          return maps[index].addDamaged(chunk.node)
        }
        maps[index].add(
          value, at: chunk.node, now: now, cooldown: UInt64(definition.cooldown.seconds))
      }
    }
    return maps
  }

  private func addresses(
    of network: String, _ deadline: Deadline
  ) async throws(Failure) -> [IPAddress] {
    let store = try store(network)
    var addresses: [IPAddress] = []
    try await asking { () async throws(StoreError) in
      try await store.list(.leases, deadline: deadline) { key, _ in
        if case .lease(let address) = key { addresses.append(address) }
      }
    }
    return addresses
  }

  /// A directory's definition: as given, else the smallest prefix around the addresses of a family.
  private func definition(
    _ source: DefinitionOptions, of network: String, around addresses: [IPAddress]
  ) throws(Failure) -> NetworkDefinition {
    if !source.isEmpty {
      return try NetworkDefinition(checking: try source.document(over: .object([])), name: network)
    }
    let subnets = [AddressFamily.ipv4, .ipv6].compactMap { family -> Prefix? in
      let members = addresses.filter { $0.family == family }
      guard let low = members.min(), let high = members.max() else { return nil }
      let differing = 128 - (low.value ^ high.value).leadingZeroBitCount
      return Prefix(address: low, length: family.bitWidth - max(8, differing))
    }
    guard !subnets.isEmpty else {
      throw Failure(.no, "nothing is held in network \(network): say --subnet to see it empty")
    }
    let ranges = JSONValue.array(
      subnets.map { .array([["subnet": .string($0.description)]]) })
    return try NetworkDefinition(checking: ["ranges": ranges], name: network)
  }
}

extension AddressMap {
  /// Counts as decimal text (they may need 129 bits), and the cells in which something is.
  fileprivate var document: JSONValue {
    let touched = cells.indices.filter { index in
      cells[index].used + cells[index].cooling > 0 || cells[index].isDamaged
    }
    return [
      "pool": .string(space.geometry.subnet.description), "window": .string(window.description),
      "cellPrefixLength": .number(window.length + cellBits),
      "total": .string(counts.total.description), "used": .number(counts.used),
      "cooling": .number(counts.cooling), "excluded": .string(counts.excluded.description),
      "free": .string(counts.free.description), "damagedChunks": .number(counts.damagedChunks),
      "cells": .array(
        touched.map { index in
          [
            "prefix": .string(prefix(of: index).description), "used": .number(cells[index].used),
            "cooling": .number(cells[index].cooling), "damaged": .bool(cells[index].isDamaged),
          ]
        }),
    ]
  }
}
