# frozen_string_literal: true

module MassiveSMS
  # One page of a list, newest first.
  class Page
    # @return [Array<Model>] the resources of this page
    attr_reader :data
    # @return [Boolean] whether there is more in the direction asked for
    attr_reader :has_more
    # @return [String, nil] where to go on from a page that is short of its limit before the end; else the last id is
    attr_reader :next_cursor
    # @return [String] the path of the list
    attr_reader :url
    # @return [Response] the answer as it came
    attr_reader :last_response

    def initialize(client, model, path, query, request_options)
      @client = client
      @model = model
      @path = path
      @query = query
      @request_options = request_options
      @last_response = client.request("GET", path, query: query, request_options: request_options)
      parsed = JSON.parse(@last_response.body)
      @data = Array(parsed["data"]).map { |each| model.from(each) }
      @has_more = parsed["has_more"] == true
      @next_cursor = parsed["next_cursor"]
      @url = parsed["url"]
    end

    # Return the page that follows: of older resources, or of newer ones where the list was asked for with
    # ending_before; nil after the last one.
    def next_page
      return unless has_more

      cursor = backwards? ? :ending_before : :starting_after
      id = next_cursor || (backwards? ? data.first : data.last)&.[](:id)
      return if id.nil? || @query[cursor] == id

      self.class.new(@client, @model, @path, @query.merge(cursor => id), @request_options)
    end

    # Yield each resource of this page and of those that follow; they are fetched as they are needed.
    #
    # @return [Enumerator] without a block
    def auto_paging_each(&block)
      return enum_for(:auto_paging_each) unless block

      page = self
      until page.nil?
        (page.backwards? ? page.data.reverse : page.data).each(&block)
        page = page.next_page
      end
    end

    # @return [Boolean] whether iteration goes to newer resources
    def backwards? = !@query[:ending_before].nil?

    # Describe the page without what is on it.
    def inspect = "#<MassiveSMS::Page #{@path} #{data.size} of #{@model} has_more: #{has_more}>"
  end
end
