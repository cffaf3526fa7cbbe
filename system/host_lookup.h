// A host's name to addresses. Internal to the HTTP client, and included by http_client.cpp alone:
// Asio takes long to compile.
#pragma once

#include <netdb.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace zeroth {

/// What a thread that looks up shares with the one that waits for it.
struct HostLookup {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  int error = 0;  // of getaddrinfo
  std::vector<boost::asio::ip::tcp::endpoint> endpoints;
};

/// Asks getaddrinfo, however long it takes.
inline void look_up(HostLookup& lookup, const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  std::vector<boost::asio::ip::tcp::endpoint> endpoints;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    boost::asio::ip::tcp::endpoint endpoint;
    if (entry->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), entry->ai_addr, entry->ai_addrlen);
    endpoint.resize(entry->ai_addrlen);
    endpoints.emplace_back(endpoint.address(), port);
  }
  if (found != nullptr) ::freeaddrinfo(found);
  const std::lock_guard lock(lookup.mutex);
  lookup.done = true;
  lookup.error = error;
  lookup.endpoints = std::move(endpoints);
  lookup.changed.notify_all();
}

}  // namespace zeroth
