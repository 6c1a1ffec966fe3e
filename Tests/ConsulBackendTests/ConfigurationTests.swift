// Which Consul is meant, by settings and environment, without any server.

import TestSupport
import Testing

@testable import ConsulBackend

private func configuration(
  _ environment: [String: String] = [:], _ change: (inout ConsulSettings) -> Void = { _ in }
) throws -> ConsulConfiguration {
  var settings = ConsulSettings()
  change(&settings)
  return try ConsulConfiguration(settings, environment: environment)
}

private func token(_ configuration: ConsulConfiguration) throws -> String? {
  try configuration.credentials.resolve().headers.first { $0.0 == "X-Consul-Token" }?.1
}

@Suite struct ConfigurationTests {
  @Test(arguments: [
    (nil, "http://127.0.0.1:8500"),
    ("consul.test", "http://consul.test:8500"),
    ("10.0.0.1:1234", "http://10.0.0.1:1234"),
    ("http://10.0.0.1", "http://10.0.0.1:8500"),
    ("https://10.0.0.1", "https://10.0.0.1:8500"),
    ("https://consul.test:8501", "https://consul.test:8501"),
    ("http://proxy.test:80/consul/", "http://proxy.test:80/consul"),
    ("::1", "http://[::1]:8500"),
    ("[::1]", "http://[::1]:8500"),
    ("[fd00::5]:8501", "http://[fd00::5]:8501"),
    ("unix:///run/consul.sock", "unix:///run/consul.sock"),
  ])
  func settingsAddress(_ address: String?, _ expected: String) throws {
    #expect(try configuration { $0.address = address }.endpoint.description == expected)
  }

  @Test(arguments: [
    (["CONSUL_HTTP_ADDR": "consul.test:8500"], "http://consul.test:8500"),
    (["CONSUL_HTTP_ADDR": "consul.test"], "http://consul.test:80"),
    (["CONSUL_HTTP_ADDR": "https://consul.test"], "https://consul.test:443"),
    (["CONSUL_HTTP_ADDR": "10.0.0.1:8501", "CONSUL_HTTP_SSL": "true"], "https://10.0.0.1:8501"),
    (
      ["CONSUL_HTTP_ADDR": "http://10.0.0.1:8501", "CONSUL_HTTP_SSL": "1"], "https://10.0.0.1:8501"
    ),
    (
      ["CONSUL_HTTP_ADDR": "https://10.0.0.1:8501", "CONSUL_HTTP_SSL": "F"], "https://10.0.0.1:8501"
    ),
    (["CONSUL_HTTP_SSL": "T"], "https://127.0.0.1:8500"),
    (["CONSUL_HTTP_ADDR": "", "CONSUL_HTTP_SSL": ""], "http://127.0.0.1:8500"),
    (["CONSUL_HTTP_ADDR": "unix:///a/b", "CONSUL_HTTP_SSL": "true"], "unix:///a/b"),
  ])
  func environmentAddress(_ environment: [String: String], _ expected: String) throws {
    #expect(try configuration(environment).endpoint.description == expected)
  }

  @Test func settingsWinOverTheEnvironment() throws {
    let environment = [
      "CONSUL_HTTP_ADDR": "https://env.test:1", "CONSUL_NAMESPACE": "env",
      "CONSUL_PARTITION": "env",
      "CONSUL_HTTP_TOKEN": "env", "CONSUL_HTTP_SSL": "true",
    ]
    let merged = try configuration(environment) {
      $0.address = "settings.test"
      $0.port = 5
      $0.scheme = "http"
      $0.namespace = "settings"
      $0.token = ConsulSecret("settings")
      $0.datacenter = "dc9"
      $0.timeout = .seconds(3)
    }
    #expect(merged.endpoint.description == "http://settings.test:5")
    #expect(merged.namespace == "settings" && merged.partition == "env")
    #expect(try token(merged) == "settings")
    #expect(merged.datacenter == "dc9" && merged.timeout == .seconds(3))
    #expect(
      try configuration(environment) { $0.port = 9 }.endpoint.description == "https://env.test:9")
    #expect(
      merged.description == "http://settings.test:5 dc=dc9 namespace=settings partition=env")
  }

  @Test func aTokenFileWinsAndIsReadAtUse() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/token"
    let environment = ["CONSUL_HTTP_TOKEN_FILE": path, "CONSUL_HTTP_TOKEN": "other"]
    let fromFile = try configuration(environment)
    #expect(throws: ConsulConfigurationError.self) { try token(fromFile) }
    try writeFile(path, "  from-file\n")
    #expect(try token(fromFile) == "from-file")
    #expect(try token(configuration(environment) { $0.token = ConsulSecret("mine") }) == "mine")
    let both = try configuration {
      $0.tokenFile = path
      $0.token = ConsulSecret("mine")
    }
    #expect(try token(both) == "from-file")
    #expect(try token(configuration()) == nil)
  }

  @Test func basicAuthentication() throws {
    let environment = ["CONSUL_HTTP_AUTH": "user:pass"]
    let (headers, secrets) = try configuration(environment).credentials.resolve()
    #expect(headers.map(\.0) == ["Authorization"])
    #expect(headers.map(\.1) == ["Basic dXNlcjpwYXNz"])
    #expect(secrets == ["dXNlcjpwYXNz", "user:pass"])
  }

  @Test(arguments: [
    (
      "consul_addr",
      [
        "ftp://x", "http://", "[::1", "[::1]x", "a b", "h:x", "h:0", "h:65536", "unix://",
        "unix:///a\0b", "http://h/a b", "http://h/a\r\nX: 1", "http://h/\0", "https://h/\u{E4}",
        "http://h/?dc=x", "http://h/#x",
      ]
    ),
    ("consul_addr", ["user:secret@host", "", "h:-1", "h:99999999999999999999"]),
  ])
  func badAddresses(_ setting: String, _ addresses: [String]) {
    for address in addresses {
      let error = #expect(throws: ConsulConfigurationError.self, "\(address)") {
        try configuration { $0.address = address }
      }
      #expect(error?.setting == setting)
      #expect(error?.description.contains("secret") == false)
    }
  }

  @Test func badSettingsAreNamed() throws {
    func setting(_ environment: [String: String], _ change: (inout ConsulSettings) -> Void)
      -> String?
    {
      do {
        _ = try configuration(environment, change)
        return nil
      } catch {
        return (error as? ConsulConfigurationError)?.setting
      }
    }
    #expect(setting([:]) { $0.port = 0 } == "consul_port")
    #expect(setting([:]) { $0.scheme = "gopher" } == "scheme")
    #expect(
      setting([:]) {
        $0.scheme = "http"
        $0.address = "https://x"
      } == "scheme")
    #expect(setting([:]) { $0.certFile = "/c" } == "cert_file")
    #expect(setting(["CONSUL_CLIENT_KEY": "/k"]) { _ in } == "CONSUL_CLIENT_KEY")
    #expect(setting([:]) { $0.timeout = .zero } == "timeout")
    #expect(setting([:]) { $0.timeout = .seconds(86_401) } == "timeout")
    #expect(setting(["CONSUL_HTTP_SSL": "yes"]) { _ in } == "CONSUL_HTTP_SSL")
    #expect(setting(["CONSUL_HTTP_SSL_VERIFY": "no"]) { _ in } == "CONSUL_HTTP_SSL_VERIFY")
    #expect(setting(["CONSUL_HTTP_ADDR": "x:y"]) { _ in } == "CONSUL_HTTP_ADDR")
  }

  @Test func verificationIsOffOnlyWhereTheVariableSaysSo() throws {
    #expect(try configuration().tls.verifies)
    #expect(try configuration(["CONSUL_HTTP_SSL_VERIFY": "true"]).tls.verifies)
    #expect(try configuration(["CONSUL_HTTP_SSL_VERIFY": "false"]).tls.verifies == false)
  }

  @Test func secretsAreNotPrinted() throws {
    let environment = ["CONSUL_HTTP_AUTH": "user:hush-auth"]
    var settings = ConsulSettings()
    settings.token = ConsulSecret("hush-token")
    let merged = try ConsulConfiguration(settings, environment: environment)
    var dumped = "\(settings) \(merged) \(merged.credentials)"
    debugPrint(settings, merged, merged.credentials, ConsulClient(merged), to: &dumped)
    dump(merged, to: &dumped)
    dump(settings, to: &dumped)
    #expect(!dumped.contains("hush"))
  }

  @Test func aTokenThatNoHeaderCanCarryIsRefusedUnseen() throws {
    let bad = try configuration { $0.token = ConsulSecret("hush\r\nX-Evil: 1") }
    let error = #expect(throws: ConsulConfigurationError.self) { try token(bad) }
    #expect(error?.setting == "token" && error?.description.contains("hush") == false)
  }
}
