// swift-tools-version: 6.3
import PackageDescription

let package = Package(
  name: "cni-ipam-consul",
  products: [
    .library(name: "AddressSpace", targets: ["AddressSpace"]),
    .library(name: "BitmapAllocator", targets: ["BitmapAllocator"]),
    .library(name: "IPAM", targets: ["IPAM"]),
    .library(name: "ConsulBackend", targets: ["ConsulBackend"]),
    .library(name: "DiskBackend", targets: ["DiskBackend"]),
    .library(name: "IPAMTesting", targets: ["IPAMTesting"]),
    .executable(name: "cni-ipam-consul", targets: ["cni-plugin"]),
    .executable(name: "ipamctl", targets: ["ipamctl"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
  ],
  targets: [
    .systemLibrary(name: "CGMP", pkgConfig: "gmp", providers: [.apt(["libgmp-dev"])]),
    .target(name: "AddressSpace", dependencies: ["CGMP"]),
    .target(name: "BitmapAllocator", dependencies: ["AddressSpace"]),
    .target(name: "IPAM", dependencies: ["AddressSpace", "BitmapAllocator"]),
    .target(name: "DiskBackend", dependencies: ["AddressSpace", "BitmapAllocator", "IPAM"]),
    .target(
      name: "ConsulBackend",
      dependencies: [
        "AddressSpace", "BitmapAllocator", "IPAM", "JSON",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    .target(name: "JSON"),
    .target(name: "CNI", dependencies: ["AddressSpace", "JSON"]),
    .target(name: "IPAMTesting", dependencies: ["AddressSpace", "BitmapAllocator", "IPAM"]),
    .executableTarget(
      name: "cni-plugin",
      dependencies: [
        "AddressSpace", "BitmapAllocator", "CNI", "IPAM", "JSON", "ConsulBackend", "DiskBackend",
      ]),
    .executableTarget(
      name: "ipamctl",
      dependencies: [
        "AddressSpace", "BitmapAllocator", "IPAM", "JSON", "ConsulBackend", "DiskBackend",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ]),
    .target(name: "CTestSupport", path: "Tests/_CTestSupport"),
    .target(
      name: "TestSupport", dependencies: ["CTestSupport", "JSON"], path: "Tests/_TestSupport"),
    .testTarget(name: "AddressSpaceTests", dependencies: ["AddressSpace", "TestSupport"]),
    .testTarget(
      name: "BitmapAllocatorTests",
      dependencies: ["AddressSpace", "BitmapAllocator", "TestSupport"]),
    .testTarget(name: "CNITests", dependencies: ["AddressSpace", "CNI", "JSON", "TestSupport"]),
    .testTarget(
      name: "IPAMTests",
      dependencies: ["AddressSpace", "BitmapAllocator", "IPAM", "IPAMTesting", "TestSupport"]),
    .testTarget(
      name: "SimulationTests",
      dependencies: ["AddressSpace", "IPAM", "IPAMTesting", "TestSupport"]),
    .testTarget(
      name: "ConsulBackendTests",
      dependencies: [
        "AddressSpace", "BitmapAllocator", "ConsulBackend", "IPAM", "IPAMTesting", "TestSupport",
      ]),
    .executableTarget(
      name: "disk-crash-helper", dependencies: ["DiskBackend", "IPAM", "IPAMTesting"],
      path: "Tests/DiskCrashHelper"),
    .testTarget(
      name: "DiskBackendTests",
      dependencies: [
        "AddressSpace", "BitmapAllocator", "DiskBackend", "IPAM", "IPAMTesting", "TestSupport",
        "disk-crash-helper",
      ]),
    .testTarget(
      name: "IpamctlTests", dependencies: ["JSON", "TestSupport"],
      exclude: ["Fixtures", "Golden"]),
    .testTarget(
      name: "IntegrationTests",
      dependencies: ["AddressSpace", "BitmapAllocator", "TestSupport"]),
  ]
)

let upcoming = [
  "ExistentialAny", "InternalImportsByDefault", "MemberImportVisibility",
  "NonisolatedNonsendingByDefault", "InferIsolatedConformances", "ImmutableWeakCaptures",
]
for target in package.targets where target.type != .system {
  target.swiftSettings = upcoming.map { .enableUpcomingFeature($0) }
}
