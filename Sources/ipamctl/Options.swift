import AddressSpace
import ArgumentParser
import ConsulBackend
import Glibc
import IPAM

// Where the networks are, the same words for all commands. What is left out comes from the CONSUL_*
// environment, as Consul's own tools read it. What is Consul's is called so: a prefix without that
// word is one of addresses, a namespace one of workloads.

struct ConsulOptions: ParsableArguments {
  @Option(
    name: .customLong("consul"),
    help: "Consul's address: host, host:port, http(s)://… or unix:///path. [CONSUL_HTTP_ADDR]")
  var address: String?
  @Option(name: .customLong("consul-prefix"), help: "Where this project's keys begin.")
  var prefix = ConsulStore.defaultPrefix
  @Option(name: .customLong("dc"), help: "Datacenter; the agent's own without it.")
  var datacenter: String?
  @Option(help: "A file that holds the ACL token. [CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_TOKEN]")
  var tokenFile: String?
  @Option(help: "The certificate authorities to trust (PEM). [CONSUL_CACERT]")
  var caFile: String?
  @Option(help: "The client's certificate (PEM). [CONSUL_CLIENT_CERT]")
  var certFile: String?
  @Option(help: "The client's private key (PEM). [CONSUL_CLIENT_KEY]")
  var keyFile: String?
  @Option(help: "The name that the server's certificate must carry. [CONSUL_TLS_SERVER_NAME]")
  var tlsServerName: String?
  @Option(
    name: .customLong("consul-namespace"),
    help: "Consul Enterprise namespace. [CONSUL_NAMESPACE]")
  var namespace: String?
  @Option(
    name: .customLong("consul-partition"),
    help: "Consul Enterprise admin partition. [CONSUL_PARTITION]")
  var partition: String?
  @Option(help: "How long a command may take, in seconds; 600 if not given.")
  var timeout: Int?

  func validate() throws {
    guard (1...86_400).contains(seconds) else {
      throw ValidationError("--timeout \(seconds): 1 to 86400 seconds")
    }
  }

  /// Whether it was said where Consul is, for commands that can do without.
  var isGiven: Bool {
    address != nil || Terminal.environment["CONSUL_HTTP_ADDR"]?.isEmpty == false
  }

  /// How long a command may take.
  var seconds: Int { timeout ?? 600 }

  /// The clock, randomness and sleep of this process.
  static let surroundings = Surroundings(
    now: { UInt64(max(0, time(nil))) },
    monotonic: {
      var now = timespec()
      clock_gettime(CLOCK_MONOTONIC, &now)
      return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    },
    random: { UInt64.random(in: 1...UInt64.max) },
    sleep: { try? await Task.sleep(nanoseconds: $0) })

  var deadline: Deadline {
    Self.surroundings.deadline(inMilliseconds: UInt64(seconds) * 1_000)
  }

  func configuration() throws(Failure) -> ConsulConfiguration {
    var settings = ConsulSettings()
    settings.address = address
    settings.datacenter = datacenter
    settings.tokenFile = tokenFile
    settings.caFile = caFile
    settings.certFile = certFile
    settings.keyFile = keyFile
    settings.tlsServerName = tlsServerName
    settings.namespace = namespace
    settings.partition = partition
    settings.timeout = .seconds(seconds)
    settings.names = .options
    do {
      return try ConsulConfiguration(settings, environment: Terminal.environment)
    } catch {
      throw Failure(.usage, error.description)
    }
  }

  func networks() throws(Failure) -> ConsulNetworks {
    ConsulNetworks(
      try configuration(), prefix: prefix, surroundings: Self.surroundings)
  }
}

extension ConsulOptions {
  /// The store of one network in Consul.
  func store(_ network: String) throws(Failure) -> ConsulStore {
    guard !network.isEmpty else { throw Failure(.usage, "the network's name is empty") }
    return try networks().store(network)
  }
}

extension IPAddress {
  /// The address that an argument names; an IPv4-mapped one is the IPv4 address, as in the plugin.
  init(argument text: String, _ name: String) throws(Failure) {
    do {
      let address = try IPAddress(parsing: text)
      self = address.ipv4Mapped ?? address
    } catch {
      throw Failure(.usage, "\(name): \(error)")
    }
  }
}

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case table, json
}

struct OutputOptions: ParsableArguments {
  @Option(help: "What to print.")
  var output = OutputFormat.table
}

extension Failure {
  init(_ error: StoreError) {
    self.init(error.kind == .unavailable ? .unavailable : .failed, error.description)
  }

  init(_ error: AllocationError) {
    switch error {
    case .store(let error): self.init(error)
    case .deadlineExceeded, .outcomeUnknown: self.init(.unavailable, error.description)
    case .undefinedNetwork, .exhausted, .requestedGateway, .requestedTaken, .requestedElsewhere,
      .alreadyHeld, .macTaken, .notHeld:
      self.init(.no, error.description)
    default: self.init(.failed, error.description)
    }
  }
}

/// Runs a call of the store, its error as the program's.
func asking<Value>(
  _ body: () async throws(StoreError) -> Value
) async throws(Failure) -> Value {
  do {
    return try await body()
  } catch {
    throw Failure(error)
  }
}

/// Runs a call of the allocation, its error as the program's.
func deciding<Value>(
  _ body: () async throws(AllocationError) -> Value
) async throws(Failure) -> Value {
  do {
    return try await body()
  } catch {
    throw Failure(error)
  }
}
