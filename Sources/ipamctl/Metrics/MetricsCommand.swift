import ArgumentParser
import ConsulBackend
import IPAM

struct MetricsCommand: AsyncParsableCommand {
  /// Seconds that a scrape's reading may take where --timeout says nothing: Prometheus waits for 10,
  /// and is to be told why it gets nothing.
  private static let scrapeTimeout = 8

  static let configuration = CommandConfiguration(
    commandName: "metrics", abstract: "Says how full the pools are, for Prometheus.",
    discussion: """
      Prints Prometheus' text format. With --write the file is replaced whole, as the node exporter's \
      textfile collector wants it (a name that ends with .prom); run it from a timer. A file that is \
      not renewed shows by cni_ipam_consul_read_timestamp_seconds. All networks below the prefix \
      without a name; a directory has one network. A network that cannot be read has \
      cni_ipam_consul_network_up 0, the others are told, and the exit status says so.

      With --listen it answers GET /metrics with what it reads then, until SIGINT or SIGTERM; \
      scrapes at one time share one reading, of at most \(scrapeTimeout) seconds unless --timeout says \
      otherwise. While the store cannot be reached the answer is 503 with the reason. / answers 200 \
      whatever the store does: for a liveness probe. There is no TLS and no password, and what is told \
      are counts and names of networks: listen on loopback, or where only Prometheus gets to.
      """)
  @Argument(help: "The networks; all without one.") var networks: [String] = []
  @Option(help: "The file to write; standard output without it.") var write: String?
  @Option(help: "Serve over HTTP: host:port, :port (all addresses) or [IPv6]:port.")
  var listen: ListenAddress?
  @OptionGroup var source: DefinitionOptions
  @OptionGroup var place: StoreOptions

  func validate() throws {
    guard place.dataDir == nil || networks.count == 1 && !source.isEmpty else {
      throw ValidationError("--data-dir needs one network, and --subnet or --file")
    }
    guard write == nil || listen == nil else {
      throw ValidationError("--write and --listen are two ways to the same; give one")
    }
  }

  func run() async throws {
    var consul = place.consul
    if listen != nil { consul.timeout = consul.timeout ?? Self.scrapeTimeout }
    let source = try MetricsSource(networks, source, dataDir: place.dataDir, consul)
    if let listen { return try await serve(source, on: listen, timeout: consul.seconds) }
    let (metrics, failures) = try await source.read()
    if let write {
      try Terminal.replace(write, with: metrics.text.utf8)
    } else {
      Terminal.write(Array(metrics.text.utf8))
    }
    for failure in failures.dropLast() { Terminal.say(failure.description) }
    if let last = failures.last { throw last }
  }

  private func serve(
    _ source: MetricsSource, on address: ListenAddress, timeout: Int
  ) async throws(Failure) {
    let server = try await MetricsServer.bind(address, timeout: timeout)
    let page = MetricsPage(source)
    await untilSignal {
      Terminal.say("serving http://\(server.place)/metrics")
      await server.run(page)
    }
  }
}
