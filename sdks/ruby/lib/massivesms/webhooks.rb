# frozen_string_literal: true

require "json"
require "openssl"
require "massivesms/errors"

module MassiveSMS
  # Verification of webhooks.
  module Webhooks
    HEADER = "MSVS-Signature"
    TOLERANCE = 300

    module_function

    # Verify a webhook and return its event.
    #
    # @param payload [String] the body of the request, byte for byte: request.raw_post in Rails, request.body.read in Rack
    # @param header [String, nil] its MSVS-Signature header
    # @param secret [String] the secret of the webhook
    # @param tolerance [Numeric] how many seconds it may be old or early
    # @return [Event]
    # @raise [SignatureVerificationError] where it is not to be trusted: answer 400
    # @raise [InvalidPayloadError] where it is signed, and no event
    def construct_event(payload, header, secret, tolerance: TOLERANCE, now: Time.now)
      verify(payload, header, secret, tolerance: tolerance, now: now)
      text = payload.dup.force_encoding(Encoding::UTF_8)
      value = text.valid_encoding? ? JSON.parse(text) : nil
      return Event.from(value) if value.is_a?(Hash) && value["type"].is_a?(String)

      raise InvalidPayloadError, "The body of the webhook is not an event"
    rescue JSON::ParserError, EncodingError
      raise InvalidPayloadError, "The body of the webhook is not JSON"
    end

    # Raise a SignatureVerificationError unless a signature of the header is of this payload and secret.
    def verify(payload, header, secret, tolerance: TOLERANCE, now: Time.now)
      raw!(payload)
      fail!(:secret_missing, "No webhook secret: it is shown when the webhook is made") if secret.to_s.empty?
      fail!(:header_missing, "The request has no #{HEADER} header") if header.to_s.empty?
      timestamp, candidates = read(header)
      if (now.to_i - timestamp).abs > tolerance
        fail!(:timestamp_outside_tolerance, "The webhook was signed too long ago, or in the future: it may be a replay")
      end
      expected = signature(payload, secret, timestamp)
      return if candidates.map { |each| same?(expected, each) }.any?

      fail!(:no_match, "No signature fits: check that the secret is of this webhook, and that the payload is the body " \
                       "as it came, before any parser (request.raw_post in Rails, request.body.read in Rack)")
    end

    # Return the header that signs a payload, for tests of receivers.
    def sign(payload, secret, timestamp: Time.now)
      "t=#{timestamp.to_i},v1=#{signature(payload, secret, timestamp.to_i)}"
    end

    def raw!(payload)
      return if payload.is_a?(String)

      raise ConfigurationError, "The payload is #{payload.class}, and must be the body as it came, a String: read it " \
                                "before it is parsed (request.raw_post in Rails, request.body.read in Rack)"
    end

    def read(header)
      parts = header.split(",").map { |part| part.strip.partition("=").values_at(0, 2) }
      times = parts.filter_map { |name, value| value if name == "t" }
      candidates = parts.filter_map { |name, value| value if name == "v1" }
      return [times.first.to_i, candidates] if times.size == 1 && times.first.match?(/\A[0-9]{1,15}\z/) && candidates.any?

      fail!(:header_malformed, "The #{HEADER} header cannot be read: it is t=…,v1=…")
    end

    def signature(payload, secret, timestamp)
      OpenSSL::HMAC.hexdigest("SHA256", secret.b, "#{timestamp}.".b + payload.b)
    end

    def same?(expected, candidate)
      candidate.bytesize == expected.bytesize && OpenSSL.fixed_length_secure_compare(expected, candidate.b)
    end

    def fail!(reason, message) = raise(SignatureVerificationError.new(reason, message))

    private_class_method :raw!, :read, :signature, :same?, :fail!
  end
end
