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
      Looks at the configurations in /etc/cni/net.d; at the Consul that each names (is it there, \
      does it lead, what may the token do, does the definition say the same), an option given here \
      going before the file; at the clocks; at the plugin where the runtime looks for it, and \
      whether it says (STATUS) that it could serve an ADD; and at the state directory. Nothing is \
      changed, but that the plugin may keep a copy there of what it read. Exit status 1 if anything \
      is wrong.
      """)
  @Option(help: "Where the runtime's network configurations are.") var confDir = "/etc/cni/net.d"
  @Option(help: "Where the runtime looks for plugins, separated by colons. [CNI_PATH]")
  var cniPath: String?
  @Option(help: "Where the plugin keeps what it remembers on this node.")
  var stateDir = DiskStore.defaultStateDirectory
  @OptionGroup var place: StoreOptions
  @OptionGroup var format: OutputOptions

  func run() async throws {
    // What cannot be understood of the options is no finding.
    let options = try place.consul.networks()
    var report = DoctorReport()
    let path = cniPath ?? Terminal.environment["CNI_PATH"] ?? "/opt/cni/bin"
    let files = NodeConfiguration.all(in: confDir, &report)
    let configured = files.flatMap(\.networks)
    var reachable: [NodeConfiguration.Network] = []
    if let dataDir = place.dataDir {
      report.examine(folder: dataDir, "data directory", option: "ipam.dataDir")
    } else {
      reachable = await report.examineConsul(of: files, place.consul, stateDir)
      if !configured.contains(where: \.usesConsul) {
        if place.consul.isGiven || configured.isEmpty {
          await report.examine(options, place.consul.deadline)
        } else {
          report.pass("Consul", "no configuration here uses it")
        }
      }
      for folder in Set(configured.filter { !$0.usesConsul }.map(\.dataDirectory)).sorted() {
        report.examine(folder: folder, "data directory", option: "ipam.dataDir")
      }
    }
    for type in Set(configured.map(\.type)).union(configured.isEmpty ? ["consul"] : []).sorted() {
      let versions = configured.filter { $0.type == type }.map(\.version)
      guard let plugin = report.examine(plugin: type, in: path, speaking: Set(versions)) else {
        continue
      }
      for network in reachable where network.type == type {
        report.examine(statusOf: network.laidUnder(place.consul, stateDir), by: plugin, in: path)
      }
    }
    for folder in Set(configured.map { $0.stateDirectory(stateDir) }).union([stateDir]).sorted() {
      report.examine(folder: folder, "state directory", option: "ipam.stateDir")
    }
    if NodeIdentity(unkept: "").node.bootID.isEmpty {
      report.fail(
        "boot ID", "/proc/sys/kernel/random/boot_id cannot be read", "mount /proc where this runs")
    }
    report.show(format.output)
    guard report.failures == 0 else {
      throw Failure(.no, "\(report.failures.counted("check")) failed")
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

  /// Whether a plugin is there and answers; where it is.
  mutating func examine(
    plugin: String, in path: String, speaking versions: Set<String>
  ) -> String? {
    let check = "plugin \(plugin)"
    let places = path.split(separator: ":").map { "\($0)/\(plugin)" }
    guard let file = places.first(where: { access($0, F_OK) == 0 }) else {
      fail(
        check, "not in \(path)",
        "install it there under this name, or set --cni-path to where it is")
      return nil
    }
    guard access(file, X_OK) == 0 else {
      fail(check, "\(file) cannot be executed", "chmod 755 \(file)")
      return nil
    }
    guard let answer = Child.output(of: [file], environment: ["CNI_COMMAND=VERSION"]),
      let document = try? JSONValue(parsing: answer),
      let supported = document["supportedVersions"]?.elements?.compactMap(\.string)
    else {
      fail(
        check, "\(file) does not answer VERSION", "install it again: CNI_COMMAND=VERSION \(file)")
      return nil
    }
    let missing = versions.subtracting(supported).sorted()
    guard missing.isEmpty else {
      fail(
        check, "\(file) does not speak \(missing.joined(separator: ", "))",
        "install a newer one, or lower cniVersion in the configuration")
      return nil
    }
    pass(check, "\(file), up to \(supported.last ?? "nothing")")
    return file
  }

  /// Whether the plugin itself would serve a network: what it says to STATUS, of which nothing is the
  /// best.
  mutating func examine(
    statusOf network: NodeConfiguration.Network, by plugin: String, in path: String
  ) {
    let check = "ADD on \(network.name)"
    let configuration: JSONValue = [
      "cniVersion": "1.1.0", "name": .string(network.name), "ipam": network.ipam,
    ]
    let variables = Terminal.environment.filter { $0.key.hasPrefix("CONSUL_") }
      .map { "\($0.key)=\($0.value)" }
    let answer = Child.output(
      of: [plugin], environment: variables + ["CNI_COMMAND=STATUS", "CNI_PATH=\(path)"],
      input: configuration.compactBytes, evenIfItFails: true)
    guard let answer else {
      return fail(check, "\(plugin) does not answer STATUS", "install it again")
    }
    guard answer.isEmpty else {
      let error = try? JSONValue(parsing: answer)
      let details = error?["details"]?.string ?? ""
      return fail(
        check, error?["msg"]?.string ?? "\(plugin) says what is no error object",
        details.isEmpty ? "mend the configuration" : details)
    }
    pass(check, "would be served")
  }
}
