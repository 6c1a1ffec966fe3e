// swift-tools-version: 6.3
import PackageDescription

let package = Package(
  name: "prefix-pool",
  dependencies: [.package(name: "cni-ipam-consul", path: "../..")],
  targets: [
    .executableTarget(
      name: "prefix-pool",
      dependencies: [
        .product(name: "AddressSpace", package: "cni-ipam-consul"),
        .product(name: "BitmapAllocator", package: "cni-ipam-consul"),
      ])
  ]
)
