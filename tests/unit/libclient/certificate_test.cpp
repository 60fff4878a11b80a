// A8.4: the thumbprint of a client certificate.
#include "libclient/certificate.hpp"

#include <gtest/gtest.h>
#include <authcache/authcache.hpp>

#include <string>

namespace {

using authcache::client::certificate_thumbprint;

// A self-signed one on P-256 (openssl req -x509), and its fingerprint as openssl x509 -fingerprint -sha256
// prints it.
constexpr std::string_view kPem =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBdzCCAR2gAwIBAgIUXP6xB03B+rro/qDNw6T1iVRkUEYwCgYIKoZIzj0EAwIw\n"
    "ETEPMA0GA1UEAwwGY2xpZW50MB4XDTI2MTEyMzA4MDE0MloXDTI2MTIyMzA4MDE0\n"
    "MlowETEPMA0GA1UEAwwGY2xpZW50MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"
    "+wDOXRgBZ844+EIdYHVhRFrnQOQGdAoao/MLd/F6mDlucpPEA69Rptphg7snzcAk\n"
    "vNPq+ESW2UL8bia0bg+y6KNTMFEwHQYDVR0OBBYEFAVi5wljBHcRaaYa/ge6zfJZ\n"
    "x43WMB8GA1UdIwQYMBaAFAVi5wljBHcRaaYa/ge6zfJZx43WMA8GA1UdEwEB/wQF\n"
    "MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgdj6cNpTQkL20gu8ClCWwRVf+jv/rRtGF\n"
    "7+sqKfXL+x0CIQDKirNAoGrwKwpfdiW67BCeqzOtbdLgpVIX+92Ovr/Vfg==\n"
    "-----END CERTIFICATE-----\n";
constexpr std::string_view kFingerprint = "0afffb1990868d9b2b09c034d9f469b6141900b16d93c14b5604af2a4389f695";

std::string hex(const authcache::shm::Digest& digest) {
  std::string text;
  for (const auto byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 0xf];
  }
  return text;
}

std::string thumbprint(std::string_view certificate) {
  const auto digest = certificate_thumbprint(certificate);
  return digest ? hex(*digest) : "refused";
}

std::string der() {
  std::string bytes;
  unsigned bits = 0, held = 0;
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string_view body = kPem.substr(28, kPem.find("-----END") - 28);
  for (const char c : body) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) continue;
    bits = (bits << 6) | static_cast<unsigned>(value);
    held += 6;
    if (held >= 8) bytes += static_cast<char>((bits >> (held -= 8)) & 0xff);
  }
  return bytes;
}

TEST(Certificate, A8_4_TheThumbprintIsThatOfTheDerHoweverItCame) {
  EXPECT_EQ(thumbprint(der()), kFingerprint);
  EXPECT_EQ(thumbprint(kPem), kFingerprint);
  EXPECT_EQ(thumbprint("\n  " + std::string(kPem) + "\r\n"), kFingerprint);
  std::string crlf, folded;
  for (const char c : kPem) {
    crlf += c == '\n' ? "\r\n" : std::string(1, c);
    folded += c == '\n' ? "\n\t" : std::string(1, c);
  }
  EXPECT_EQ(thumbprint(crlf), kFingerprint);
  EXPECT_EQ(thumbprint(folded), kFingerprint) << "as a folded header value has it";
}

TEST(Certificate, A8_4_WhatIsNotOneCertificateHasNoThumbprint) {
  const std::string whole = der(), pem(kPem);
  for (const std::string& wrong : {std::string(),
                                   std::string("x"),
                                   whole.substr(1),
                                   whole.substr(0, whole.size() - 1),
                                   whole + '\0',
                                   whole + whole,
                                   std::string("\x30\x00", 2),
                                   std::string("\x30"),
                                   std::string("\x30\x80\x00\x00", 4),
                                   std::string("\x30\x81\x01x", 4),
                                   std::string("\x30\x82\x00\x80", 4) + std::string(128, 'x'),
                                   std::string("\x30\x83\x00\x01\x00", 5) + std::string(256, 'x'),
                                   std::string("\x31\x01x", 3),
                                   pem + pem,
                                   pem.substr(1),
                                   pem.substr(0, pem.size() - 3),
                                   "Bag Attributes\n" + pem,
                                   pem + "x",
                                   std::string("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
                                   std::string("-----BEGIN CERTIFICATE-----END CERTIFICATE-----"),
                                   std::string("-----BEGIN%20CERTIFICATE-----\n"),
                                   "-----BEGIN PUBLIC KEY-----" + pem.substr(27),
                                   std::string(64 * 1024 + 1, '0')}) {
    EXPECT_EQ(thumbprint(wrong), "refused") << wrong.substr(0, 60);
  }
}

TEST(Certificate, A8_4_ItsBase64HasOneSpelling) {
  const auto pem_of = [](std::string_view body) {
    return "-----BEGIN CERTIFICATE-----\n" + std::string(body) + "\n-----END CERTIFICATE-----\n";
  };
  EXPECT_NE(thumbprint(pem_of("MAF4")), "refused");
  EXPECT_NE(thumbprint(pem_of("MAJ4eA==")), "refused");
  EXPECT_NE(thumbprint(pem_of("MAN4eHg=")), "refused");
  for (const char* body : {"MAF4=", "MAF", "MAJ4eA", "MAJ4eA=", "MAJ4eB==", "MAN4eHh=", "MAJ4=eA=",
                           "MAJ4eA===", "MA.4", "MA-4", "====", "MAF4MAF4"}) {
    EXPECT_EQ(thumbprint(pem_of(body)), "refused") << body;
  }
}

TEST(Certificate, TheCFunctionSaysWhatItIsAndARefusalCannotBeBound) {
  authcache_thumbprint made{};
  const std::string whole = der();
  ASSERT_EQ(authcache_thumbprint_of_certificate(whole.data(), whole.size(), &made), AUTHCACHE_OK);
  EXPECT_EQ(made.kind, AUTHCACHE_THUMBPRINT_X5T_S256);
  EXPECT_EQ(made.size, sizeof made);
  authcache::shm::Digest bytes;
  std::copy(std::begin(made.bytes), std::end(made.bytes), bytes.begin());
  EXPECT_EQ(hex(bytes), kFingerprint);

  EXPECT_EQ(authcache_thumbprint_of_certificate("x", 1, &made), AUTHCACHE_ERROR_MALFORMED);
  EXPECT_EQ(made.kind, 0u);
  EXPECT_EQ(authcache_thumbprint_of_certificate(nullptr, 0, &made), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_thumbprint_of_certificate("x", 1, nullptr), AUTHCACHE_ERROR_USAGE);
}

TEST(Certificate, TheCppFunctionIsEmptyForARefusal) {
  const auto made = authcache::Thumbprint::of_certificate(kPem);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->get()->kind, AUTHCACHE_THUMBPRINT_X5T_S256);
  EXPECT_FALSE(authcache::Thumbprint::of_certificate({}));
  EXPECT_FALSE(authcache::Thumbprint::of_certificate("x"));
}

}  // namespace
