require "openssl"

TOLERANCE_SECONDS = 300

# Whether MSVS-Signature signs the body by this secret, in the last five minutes.
def verify(raw_body, header, secret, now = Time.now.to_f)
  timestamps = []
  signatures = []
  header.split(",").each do |part|
    name, value = part.strip.split("=", 2)
    timestamps << value.to_s if name == "t"
    signatures << value.to_s.b if name == "v1"
  end
  return false unless timestamps.length == 1 && timestamps[0].match?(/\A[0-9]{1,15}\z/)
  return false if (now - timestamps[0].to_i).abs > TOLERANCE_SECONDS

  signed = "#{timestamps[0]}.".b + raw_body.b
  expected = OpenSSL::HMAC.hexdigest("SHA256", secret, signed)
  # There are two during a rotation; each is compared in constant time.
  signatures.count { |signature| OpenSSL.secure_compare(expected, signature) }.positive?
end
