require "openssl"

TOLERANCE_SECONDS = 300

# Whether MSVS-Signature holds a signature of the body by this secret, made in the last five minutes.
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

  expected = OpenSSL::HMAC.hexdigest("SHA256", secret, "#{timestamps[0]}.".b + raw_body.b)
  # During a rotation there are two signatures; every one is compared, each in constant time.
  signatures.count { |signature| OpenSSL.secure_compare(expected, signature) }.positive?
end
