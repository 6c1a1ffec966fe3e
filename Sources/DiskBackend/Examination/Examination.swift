import AddressSpace
import IPAM

// One look at a directory under its lock, so that what is found stands still until it is mended:
//
//   lock ── unfinished commit        address files ── empty, unreadable, outside, twice
//   last_reserved_ip.N ── unreadable, no address of set N         our index ── against the files
//   everything else ── ours: left over; not ours: reported and never touched
//
// Only what no living container can depend on is mended: what a process left that died while it had
// the lock, which nobody else has now, and what merely speeds things up.

/// Looks at all that is in a directory; changes nothing.
struct Examination {
  private let directory: NetworkDirectory
  private let configuration: DiskConfiguration
  private var files: [(address: IPAddress, file: AddressFile)] = []
  private(set) var findings: [DirectoryFinding] = []

  /// - Complexity: O(n) in names and file contents, in time and memory.
  init(
    _ directory: NetworkDirectory, _ configuration: DiskConfiguration
  ) throws(SystemError) {
    self.directory = directory
    self.configuration = configuration
    try judgeLock()
    var names: [String] = []
    try directory.descriptor.visitNames { name, _ in names.append(name) }
    for name in names.sorted() { try judge(name) }
    judgeAttachments()
    judgeIndex()
  }

  private mutating func report(
    _ kind: DirectoryFinding.Kind, _ name: String, _ explanation: String, remedy: String,
    _ mending: Mending? = nil
  ) {
    findings.append(
      DirectoryFinding(kind, path(name), explanation, remedy: remedy, mending))
  }

  private func path(_ name: String) -> String { "\(configuration.path)/\(name)" }

  private mutating func judgeLock() throws(SystemError) {
    let size = try directory.lock.status().size
    guard size > 0 else { return }
    if let intent = Intent(try directory.lock.read(upTo: Intent.longestText)) {
      let count = intent.links.count + intent.unlinks.count
      report(
        .unfinishedCommit, NetworkDirectory.lockName,
        "a process died in a commit of \(count.counted("file"))",
        remedy: "undo what it did, as the next ADD or DEL does", .recover)
    } else {
      report(
        .unfinishedCommit, NetworkDirectory.lockName,
        "\(size.counted("byte")) in the lock that are no commit of ours; host-local leaves it empty",
        remedy: "empty it, as the next ADD or DEL does", .recover)
    }
  }

  private mutating func judge(_ name: String) throws(SystemError) {
    if let address = IPAddress(fileName: name) { return try judge(address, name) }
    if name == NetworkDirectory.lockName { return }
    guard let status = try directory.descriptor.status(of: name) else { return }
    if name.hasPrefix(NetworkDirectory.temporaryPrefix), status.kind == .regular {
      report(
        .leftover, name, "a process died before it gave this file its name",
        remedy: "remove it", .remove(name: name, status.identity, isEmpty: false))
    } else if let set = NetworkDirectory.cursorSet(name) {
      judgeCursor(set, name, status)
    } else {
      let kind = Self.isHarmless(name, status.kind) ? DirectoryFinding.Kind.otherFile : .foreignFile
      report(kind, name, meaning(ofForeign: name, status.kind), remedy: "nothing: not ours")
    }
  }

  /// A note or a backup that somebody left here: nobody can take its name for an address's.
  private static func isHarmless(_ name: String, _ kind: FileKind) -> Bool {
    let isAddressLike =
      name.utf8.contains { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") }
      && name.utf8.allSatisfy { "0123456789abcdefABCDEF.:".utf8.contains($0) }
    return kind != .other && !isAddressLike
  }

  private func meaning(ofForeign name: String, _ kind: FileKind) -> String {
    switch kind {
    case .directory: return "a directory, which no plugin makes here"
    case .other: return "no plain file; host-local, which reads all that is here, may hang at it"
    case .regular: break
    }
    guard let address = try? IPAddress(parsing: name) else { return "it reserves nothing" }
    let canonical = (address.ipv4Mapped ?? address).fileName
    return "it reserves nothing: the file of this address is called \(canonical)"
  }

  private mutating func judge(_ address: IPAddress, _ name: String) throws(SystemError) {
    let file = try directory.look(at: address)
    switch file {
    case .absent: return
    case .empty:
      guard let status = try directory.descriptor.status(of: name) else { return }
      return report(
        .emptyFile, name,
        "a process died before it wrote who has \(address), and host-local never hands it out again",
        remedy: "remove it: nobody was given the address",
        .remove(name: name, status.identity, isEmpty: true))
    case .unknown(let reason):
      report(
        .unreadableFile, name, "\(reason), so \(address) is not handed out",
        remedy: "nothing: somebody may have the address; remove what stands there if not")
    case .held(let holder, _):
      guard !configuration.layouts.isEmpty,
        !configuration.layouts.contains(where: { $0.segment(allowing: address) != nil })
      else { break }
      report(
        .outsideRanges, name, "\(holder) holds \(address), which lies in none of the ranges",
        remedy: "nothing: it goes with its container and is not handed out again")
    }
    files.append((address, file))
  }

  private mutating func judgeCursor(_ set: Int, _ name: String, _ status: FileStatus) {
    guard status.kind == .regular else {
      return report(
        .damagedCursor, name, "no plain file; host-local may hang at it, or write elsewhere",
        remedy: "nothing: not ours; remove it")
    }
    let mending = Mending.remove(name: name, status.identity, isEmpty: false)
    let remedy = "remove it: the search begins at the start of the ranges, once"
    guard let address = directory.cursor(set) else {
      return report(
        .damagedCursor, name, "it names no address to go on from", remedy: remedy, mending)
    }
    guard configuration.layouts.indices.contains(set),
      !configuration.layouts[set].segments.contains(where: {
        $0.range.addresses.contains(address)
      })
    else { return }
    report(
      .damagedCursor, name, "\(address) lies in no range of set \(set)", remedy: remedy, mending)
  }

  private mutating func judgeAttachments() {
    guard !configuration.layouts.isEmpty else { return }
    var held: [Holder: [IPAddress]] = [:]
    for case (let address, .held(let holder, _)) in files {
      held[holder, default: []].append(address)
    }
    for (holder, addresses) in held where addresses.count > 1 {
      for (set, layout) in configuration.layouts.enumerated() {
        let own = addresses.filter { layout.segment(allowing: $0) != nil }.sorted()
        guard own.count > 1 else { continue }
        let list = own.map(\.description).joined(separator: " ")
        report(
          .attachmentTwice, own[0].fileName, "\(holder) holds \(list), all of range set \(set)",
          remedy: "nothing: which one is in use only the container knows; its DEL releases all")
      }
    }
  }

  private mutating func judgeIndex() {
    guard let index = configuration.index else { return }
    let remedy = "remove it: the next ADD or DEL makes it anew from the files"
    for path in index.leftovers {
      findings.append(
        DirectoryFinding(
          .leftover, path, "a process died while it made the index", remedy: "remove it",
          .removeOwn(path: path)))
    }
    let problem: (DirectoryFinding.Kind, String)
    if index.isDamaged {
      problem = (.damagedIndex, "it is no index; nobody believes it, and each ADD is slower")
    } else if let modified = try? directory.modified,
      let state = index.open(of: directory.identity, at: modified),
      let difference = difference(from: state)
    {
      problem = (.falseIndex, "\(difference): a DEL may not find what its container holds")
    } else {
      return
    }
    findings.append(
      DirectoryFinding(
        problem.0, index.path, problem.1, remedy: remedy, .removeOwn(path: index.path)))
  }

  /// What an index that is believed says otherwise than the files.
  private func difference(from index: IndexState) -> String? {
    var cells: [CellKey: Cell] = [:]
    for (address, _) in files {
      cells[CellKey(address), default: Cell()].set(
        CellKey.bit(of: address), taken: true, version: 0)
    }
    do throws(StateUnusable) {
      guard index.population == UInt64(files.count) else {
        return "it counts \(index.population.counted("address", "addresses")), "
          + "the directory has \(files.count.counted("file"))"
      }
      for (address, file) in files {
        let key = CellKey(address)
        guard try index.cell(key)?.words == cells[key]?.words else {
          return "it is wrong about which addresses near \(address) are taken"
        }
        guard case .held(let holder, _) = file else { continue }
        guard try index.candidates(for: holder).contains(address) else {
          return "it does not know that \(holder) holds \(address)"
        }
      }
      return nil
    } catch {
      return "it cannot be read: \(error.reason)"
    }
  }
}
