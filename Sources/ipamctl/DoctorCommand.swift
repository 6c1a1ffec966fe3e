import ArgumentParser
import ConsulBackend
import DiskBackend
import Glibc
import IPAM
import JSON

struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Examines this node: what does not work, and what to do.",
    discussion: """
      Looks at Consul (is it there, does it lead, what may the token do), the clocks, the plugin \
      where the runtime looks for it, the configurations in /etc/cni/net.d and whether Consul's \
      definitions say the same, and the state directory. Nothing is changed. Exit status 1 if \
      anything is wrong.
      """)
  @Option(help: "Where the runtime's network configurations are.") var confDir = "/etc/cni/net.d"
  @Option(help: "Where the runtime looks for plugins, separated by colons. [CNI_PATH]")
  var cniPath: String?
  @Option(help: "Where the plugin keeps what it remembers on this node.")
  var stateDir = DiskStore.defaultStateDirectory
  @OptionGroup var place: StoreOptions
  @OptionGroup var format: OutputOptions

  func run() async throws {
    var report = DoctorReport()
    let path = cniPath ?? Terminal.environment["CNI_PATH"] ?? "/opt/cni/bin"
    let files = NodeConfiguration.all(in: confDir, &report)
    if let dataDir = place.dataDir {
      report.examine(folder: dataDir, "data directory", option: "ipam.dataDir")
    } else {
      try await examineConsul(files, &report)
    }
    for type in Set(files.flatMap(\.networks).map(\.type)).union(files.isEmpty ? ["consul"] : [])
      .sorted()
    {
      let versions = files.flatMap(\.networks).filter { $0.type == type }.map(\.version)
      report.examine(plugin: type, in: path, speaking: Set(versions))
    }
    report.examine(folder: stateDir, "state directory", option: "ipam.stateDir")
    if NodeIdentity(unkept: "").node.bootID.isEmpty {
      report.fail(
        "boot ID", "/proc/sys/kernel/random/boot_id cannot be read", "mount /proc where this runs")
    }
    report.show(format.output)
    guard report.failures == 0 else {
      throw Failure(.no, "\(report.failures.counted("check")) failed")
    }
  }

  private func examineConsul(
    _ files: [NodeConfiguration], _ report: inout DoctorReport
  ) async throws(Failure) {
    let networks = try place.consul.networks()
    let deadline = place.consul.deadline
    let where_ = "\(networks.configuration)"
    do throws(StoreError) {
      let presence = try await networks.presence(deadline: deadline)
      report.pass("Consul", "\(where_) answers")
      if let leader = presence.leader {
        report.pass("leader", leader)
      } else {
        report.fail(
          "leader", "\(where_) has none: nothing can be read or written",
          "see that more than half of the servers run and reach each other: consul operator raft "
            + "list-peers")
        return
      }
      report.examine(clockThere: presence.date)
    } catch {
      report.fail(
        "Consul", error.description,
        "start the agent, or say where Consul is: --consul, CONSUL_HTTP_ADDR, ipam.consul_addr")
      return
    }
    let node = NodeIdentity(keptIn: stateDir)?.node.name ?? "node"
    for network in Set(files.flatMap(\.networks).filter(\.usesConsul).map(\.name)).sorted() {
      do throws(StoreError) {
        let denied = try await networks.denied(network: network, node: node, deadline: deadline)
        if denied.isEmpty {
          report.pass("token for \(network)", "may do all that is needed")
        } else {
          report.fail(
            "token for \(network)", "may not: \(denied.joined(separator: ", "))",
            "give it the policy of docs/acl-policy.hcl, with this prefix and network")
          continue
        }
        let store = networks.store(network)
        let entry = try await store.storedDefinition(deadline: deadline)
        for file in files {
          for configured in file.networks where configured.name == network {
            report.compare(configured, with: entry, of: store, in: file.path)
          }
        }
      } catch {
        report.fail("network \(network)", error.description, "see what Consul's log says of it")
      }
    }
  }
}

/// What was looked at, and what came of it.
struct DoctorReport {
  private var items: [(check: String, result: String, what: String, remedy: String)] = []

  var failures: Int { items.count { $0.result == "failed" } }

  mutating func pass(_ check: String, _ what: String) { items.append((check, "ok", what, "")) }

  mutating func fail(_ check: String, _ what: String, _ remedy: String) {
    items.append((check, "failed", what, remedy))
  }

  func show(_ format: OutputFormat) {
    switch format {
    case .json:
      let list = items.map { item in
        JSONValue.object(
          [
            .init("check", .string(item.check)), .init("result", .string(item.result)),
            .init("what", .string(item.what)),
          ] + (item.remedy.isEmpty ? [] : [.init("remedy", .string(item.remedy))]))
      }
      Terminal.print(
        JSONValue.object([.init("checks", .array(list)), .init("failed", .number(failures))])
          .indented)
    case .table:
      Terminal.print(Table(["CHECK", "RESULT", "WHAT"], items.map { [$0.0, $0.1, $0.2] }).text)
      for item in items where !item.remedy.isEmpty {
        Terminal.print("\n\(item.check): \(item.what)\n  remedy: \(item.remedy)")
      }
    }
  }

  // MARK: - The node

  /// Seconds that two clocks may differ. Cool-down, and the age of a lease, are by the node's clock;
  /// the header is cut to a second and a reply takes its time.
  private static let clockTolerance: Int64 = 5

  mutating func examine(clockThere text: String?) {
    guard let text, let there = Self.seconds(httpDate: text) else {
      return fail("clock", "Consul's answers carry no date", "see whether a proxy removes it")
    }
    let difference = Int64(time(nil)) - there
    guard abs(difference) <= Self.clockTolerance else {
      return fail(
        "clock",
        "this node is \(abs(difference)) s \(difference > 0 ? "ahead of" : "behind") Consul",
        "let chrony or systemd-timesyncd set both clocks")
    }
    pass("clock", "within \(Self.clockTolerance) s of Consul's")
  }

  /// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`.
  private static func seconds(httpDate text: String) -> Int64? {
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec"
    let words = text.split(separator: " ")
    guard words.count == 6, words[5] == "GMT", words[2].count == 3,
      let month = months.firstRange(of: words[2]), let day = Int32(words[1]),
      let year = Int32(words[3])
    else { return nil }
    let clock = words[4].split(separator: ":").compactMap { Int32($0) }
    guard clock.count == 3 else { return nil }
    var parts = tm()
    (parts.tm_year, parts.tm_mday) = (year - 1900, day)
    parts.tm_mon = Int32(months.distance(from: months.startIndex, to: month.lowerBound) / 3)
    (parts.tm_hour, parts.tm_min, parts.tm_sec) = (clock[0], clock[1], clock[2])
    return Int64(timegm(&parts))
  }

  /// Room for copies, pending files and the lock of some hundred networks.
  private static let room: UInt64 = 16 << 20

  mutating func examine(folder: String, _ name: String, option: String) {
    var existing = folder
    while access(existing, F_OK) != 0, let slash = existing.lastIndex(of: "/"), existing != "/" {
      existing = slash == existing.startIndex ? "/" : String(existing[..<slash])
    }
    guard access(existing, W_OK | X_OK) == 0 else {
      return fail(
        name, "\(existing) cannot be written to: \(String(cString: strerror(errno)))",
        "run as root, or set \(option) to a folder that can be written to")
    }
    var space = statvfs()
    guard statvfs(existing, &space) == 0 else {
      return fail(name, "\(existing): \(String(cString: strerror(errno)))", "look at the mount")
    }
    // File systems without a size of their own may say the largest number that there is.
    let (product, isHuge) = UInt64(space.f_bavail)
      .multipliedReportingOverflow(by: UInt64(space.f_frsize))
    let free = isHuge ? .max : product
    guard free >= Self.room, space.f_files == 0 || space.f_favail > 0 else {
      return fail(
        name, "\(existing) has \(free >> 20) MiB and \(space.f_favail) files left",
        "make room there, or set \(option) to another folder")
    }
    pass(name, "\(folder) can be written to")
  }

  /// Whether a plugin is there and answers.
  mutating func examine(plugin: String, in path: String, speaking versions: Set<String>) {
    let check = "plugin \(plugin)"
    let places = path.split(separator: ":").map { "\($0)/\(plugin)" }
    guard let file = places.first(where: { access($0, F_OK) == 0 }) else {
      return fail(
        check, "not in \(path)",
        "install it there under this name, or set --cni-path to where it is")
    }
    guard access(file, X_OK) == 0 else {
      return fail(check, "\(file) cannot be executed", "chmod 755 \(file)")
    }
    guard let answer = Child.output(of: [file], environment: ["CNI_COMMAND=VERSION"]),
      let document = try? JSONValue(parsing: answer),
      let supported = document["supportedVersions"]?.elements?.compactMap(\.string)
    else {
      return fail(
        check, "\(file) does not answer VERSION", "install it again: CNI_COMMAND=VERSION \(file)")
    }
    let missing = versions.subtracting(supported).sorted()
    guard missing.isEmpty else {
      return fail(
        check, "\(file) does not speak \(missing.joined(separator: ", "))",
        "install a newer one, or lower cniVersion in the configuration")
    }
    pass(check, "\(file), up to \(supported.last ?? "nothing")")
  }
}
