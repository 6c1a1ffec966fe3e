import AddressSpace
import ArgumentParser
import ConsulBackend
import DiskBackend
import IPAM
import JSON

extension LiveList.Format: ExpressibleByArgument {}

struct ReclaimCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reclaim", abstract: "Releases what a node holds for containers that are gone.",
    discussion: """
      Run it twice, or from a timer. The first run only notes what has no owner; what a run finds \
      still so after --grace is released, if it is the same attachment. Unknown means in use: a \
      list that is not understood, or an attachment that cannot be read, frees nothing.

      --node alone says that the node is gone for good. If it has made attachments since the first \
      run it is not, and nothing is released. --before-boot is for the node itself: what it made \
      in an earlier boot cannot live any more.

      With --watch it looks again every --interval until SIGINT or SIGTERM; a look that fails is \
      told and releases nothing. A list in a file is no word about what was made after it was \
      written.
      """)
  @Argument(help: "The network.") var network: String
  @Option(help: "The node whose attachments are looked at; not with --data-dir.") var node: String?
  @Option(help: "What lives on that node, as --format says; - is standard input.")
  var live: String?
  @Option(help: "crictl (pods -o json), podman (ps --all --format json), nomad, or plain IDs.")
  var format: LiveList.Format = .plain
  @Option(help: "The folder where libcni keeps results on that node: /var/lib/cni/results.")
  var liveCache: String?
  @Flag(help: "What this node made before it was started, by the boot ID kept with each.")
  var beforeBoot = false
  @Flag(help: "Go on until a signal.") var watch = false
  @Option(help: "Seconds from one look to the next, with --watch.") var interval: UInt64 = 60
  @Option(help: "Seconds between the two observations, at least.") var grace: UInt64 = 600
  @Option(help: "Where the observation is kept; a file in --state-dir without this.")
  var state: String?
  @OptionGroup var journal: JournalOptions
  @Flag(help: "Only say what would be released; nothing is noted either.") var dryRun = false
  @OptionGroup var place: StoreOptions
  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    guard grace >= 1 else { throw ValidationError("--grace is 1 second at least") }
    guard (1...86_400).contains(interval) else {
      throw ValidationError("--interval: 1 to 86400 seconds")
    }
    guard [live != nil, liveCache != nil, beforeBoot].count(where: \.self) <= 1 else {
      throw ValidationError("give one of --live, --live-cache and --before-boot")
    }
    guard !watch || live != "-" else {
      throw ValidationError("--watch reads the list again and again: give a file")
    }
    if place.dataDir == nil {
      guard node?.isEmpty == false || beforeBoot else { throw ValidationError("give --node") }
    } else {
      guard node == nil else { throw ValidationError("a directory belongs to one node: no --node") }
      guard !beforeBoot else { throw ValidationError("a directory keeps no boot IDs") }
      guard isListed else { throw ValidationError("give --live or --live-cache") }
    }
  }

  private var isListed: Bool { live != nil || liveCache != nil }

  func run() async throws {
    guard watch else { return try await look(isFirst: true) }
    await untilSignal {
      var isFirst = true
      while !Task.isCancelled {
        do {
          try await look(isFirst: isFirst)
          isFirst = false
        } catch {
          if !Task.isCancelled { Terminal.say("\(error)") }
        }
        await ConsulOptions.surroundings.sleep(interval * 1_000_000_000)
      }
    }
  }

  private func look(isFirst: Bool) async throws {
    let node = try beforeBoot ? node ?? kept.node.name : node
    let isInUse = try owners()
    let store = try place.store(network, stateDir: journal.stateDir)
    let deadline = place.consul.deadline
    let surroundings = ConsulOptions.surroundings
    if store.traits.keepsDefinition, let consul = store as? ConsulStore {
      _ = try await definition(of: consul, network, deadline)
    }
    let allocator = NetworkAllocator(
      store: store, networkName: network, definition: nil, node: Node(name: node ?? ""),
      surroundings: surroundings, warn: { Terminal.say($0) }, journalNode: JournalOptions.node)
    let observed = try await asking { () async throws(StoreError) in
      try await store.orphans(ofNode: node, inUse: isInUse, isList: isListed, deadline: deadline)
    }
    if isFirst, let stranger = observed.strangers.first {
      Terminal.say(
        "not judged by this list: \(observed.strangers.count.counted("attachment")), such as "
          + "\(stranger), that another machine or runtime made which goes by the name of this node, "
          + "too: give one of the two another (ipam.node)")
    }
    let found = observed.stamps
    let memory = ReclaimMemory(
      path: state ?? defaultState, scope: scope, boot: NodeIdentity(unkept: "").node.bootID)
    let earlier = try memory.read()
    if !isListed, !beforeBoot, !earlier.isEmpty,
      let fresh = found.first(where: { key, stamp in
        !earlier.contains { $0.key == key && $0.stamp == stamp }
      })
    {
      if !dryRun { try memory.write([]) }
      throw Failure(
        .no, "node \(node ?? "") is not gone: it has made \(fresh.key) since the first observation")
    }
    let now = surroundings.monotonic() / 1_000_000_000
    let orphans = Orphan.merge(found, after: earlier, now: now)
    let due = orphans.filter { $0.isDue(now: now, grace: grace) }
    var waiting = orphans.filter { !$0.isDue(now: now, grace: grace) }
    if dryRun { return show(due, waiting, now) }
    var failures: [(Orphan, AllocationError)] = []
    var released: [Orphan] = []
    for orphan in due {
      do throws(AllocationError) {
        if let held = try await allocator.release(
          orphan.key, only: orphan.stamp, deadline: deadline)
        {
          released.append(orphan)
          journal.writeRelease(of: held, orphan.key, network)
        }
      } catch {
        failures.append((orphan, error))
        waiting.append(orphan)
      }
    }
    try memory.write(waiting)
    show(released, waiting, now)
    if let (orphan, error) = failures.first {
      throw Failure(
        Failure(error).status, "\(failures.count) not released; \(orphan.key): \(error)")
    }
  }

  /// Whose observation it is; another one's is not taken for it.
  private var scope: String {
    let consul = place.dataDir ?? "\(place.consul.address ?? "")|\(place.consul.prefix)"
    let way = beforeBoot ? "boot" : isListed ? "live" : "gone"
    return "\(consul)|\(network)|\(node ?? "")|\(way)"
  }

  /// Who this node is; only where the plugin has said so.
  private var kept: NodeIdentity {
    get throws(Failure) {
      guard let identity = NodeIdentity(keptIn: journal.stateDir) else {
        throw Failure(
          .no,
          "\(journal.stateDir) does not say which node this is: the plugin never ran here, or keeps "
            + "its state elsewhere: give --state-dir")
      }
      return identity
    }
  }

  /// Whether an attachment has an owner; what is not known counts as one.
  private func owners() throws(Failure) -> (AttachmentKey, Attachment) -> Bool {
    if let live {
      let list = try LiveList(try Terminal.read(live), format: format)
      let written = live == "-" ? UInt64.max : try timeOfWriting(live)
      return { key, attachment in list.holds(key) || attachment.createdAt >= written }
    }
    if let liveCache {
      let cache = try ResultCache(liveCache)
      return { key, _ in cache.holds(key) }
    }
    guard beforeBoot else { return { _, _ in false } }
    let own = try kept.node
    return { _, attachment in
      attachment.node.instance != own.instance || attachment.node.bootID.isEmpty
        || own.bootID.isEmpty || attachment.node.bootID == own.bootID
    }
  }

  /// When the list was written; what was made since is not judged by it. A file from the future would
  /// judge what is made until then: the clock was set back since, or runs behind the file server's.
  private func timeOfWriting(_ path: String) throws(Failure) -> UInt64 {
    let (written, now) = (try Terminal.modificationTime(path), ConsulOptions.surroundings.now())
    guard written <= now else {
      throw Failure(
        .failed,
        "\(path) was written \((written - now).counted("second")) from now by this machine's clock, so "
          + "that nobody can say what was made since: write it again")
    }
    return written
  }

  private var defaultState: String {
    "\(journal.stateDir)/reclaim-\(Offset(StableHash.of(scope.utf8)).hex(digits: 16))"
  }

  private func show(_ released: [Orphan], _ waiting: [Orphan], _ now: UInt64) {
    let verb = dryRun ? "would be released" : "released"
    func wait(_ orphan: Orphan) -> UInt64 {
      grace - min(grace, now - min(now, orphan.firstSeen))
    }
    // A service says only what happened.
    guard !watch || !released.isEmpty else { return }
    switch outputOptions.output {
    case .json:
      let report = JSONValue.object([
        .init("released", .array(released.map(\.json))),
        .init("waiting", .array(waiting.map(\.json))), .init("dryRun", .bool(dryRun)),
      ])
      Terminal.print(watch ? report.compact : report.indented)
    case .table:
      let rows =
        released.map { [$0.key.description, $0.text, verb] }
        + (watch ? [] : waiting).map {
          [$0.key.description, $0.text, "waits \(wait($0)) s"]
        }
      if rows.isEmpty { return Terminal.print("network \(network): nothing is without an owner") }
      Terminal.print(Table(["ATTACHMENT", "ADDRESSES", "STATE"], rows).text)
    }
  }
}

extension Orphan {
  fileprivate var text: String { stamp.addresses.map(\.description).joined(separator: " ") }
}
